/*
 * files - the configuration's files as a stack; see files.h.
 */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "server/config/files.h"
#include "server/config/memory.h"

static void
push(struct files *files, const char *path, struct place from)
{
	struct file *file;

	files->stack =
	    memory_grow(files->stack, files->count, sizeof(*files->stack));
	file = &files->stack[files->count++];
	file->path = memory_copy(path);
	file->from = from;
}

void
files_init(struct files *files, struct report *report, const char *path)
{
	const struct place nowhere = {0};

	memset(files, 0, sizeof(*files));
	files->report = report;
	push(files, path, nowhere);
}

void
files_pop(struct files *files)
{
	struct file *file = &files->stack[--files->count];

	if (file->lex != NULL)
		source_free(&file->source);
	memory_free(file->lex);
	memory_free(file->path);
}

/* Is this file being read already, further down? */
static bool
is_loop(const struct files *files, const struct file *file)
{
	uint32_t depth = file->depth;

	for (const struct file *up = file; depth > 0; depth--) {
		up = &files->stack[up->parent];
		if (up->source.device == file->source.device &&
		    up->source.inode == file->source.inode)
			return true;
	}
	return false;
}

/* What is wrong with having this file too, or NULL. */
static const char *
file_fault(const struct files *files, const struct file *file)
{
	if (is_loop(files, file))
		return "this file includes itself: take one of the includes "
		       "out";
	if (files->opened > FILES_MAX)
		return "this is one file too many: at most 4096 are read";
	if (files->bytes > FILES_BYTES_MAX)
		return "the configuration is too large: at most 16 MiB in all "
		       "its files";
	return NULL;
}

/* What is wrong with a file as a whole is told where it was asked for. */
static void
report_unread(const struct files *files, const struct file *file, uint32_t line,
    const char *why)
{
	struct place place = {.line = line};

	if (line == 0 && file->from.line != 0) {
		report_add(files->report, file->from, "include: %.200s: %s",
		    file->path, why);
		return;
	}
	place.file = report_file(files->report, file->path);
	report_add(files->report, place, "%s", why);
}

/* False, and reported, if the file on top can't be had. */
static bool
open_top(struct files *files)
{
	struct file *file = &files->stack[files->count - 1];
	const char *fault;
	char why[200];
	uint32_t line;

	if (source_read(file->path, &file->source, &line, why, sizeof(why)) <
	    0) {
		report_unread(files, file, line, why);
		return false;
	}
	files->opened++;
	files->bytes += file->source.length;
	fault = file_fault(files, file);
	if (fault != NULL) {
		report_add(files->report, file->from, "%.200s: %s", file->path,
		    fault);
		source_free(&file->source);
		return false;
	}
	file->lex = memory_resize(NULL, sizeof(*file->lex));
	lex_open(file->lex, files->report,
	    report_file(files->report, file->path), file->source.text);
	return true;
}

struct lex *
files_top(struct files *files)
{
	while (files->count > 0) {
		struct file *file = &files->stack[files->count - 1];

		if (file->lex != NULL || open_top(files))
			return file->lex;
		files->failed = true;
		files_pop(files);
	}
	return NULL;
}

/* The pattern as glob() needs it: beside the file that holds it. */
static char *
resolve(const char *path, const char *pattern)
{
	struct bytes result = {0};
	const char *slash = strrchr(path, '/');

	/* The directory's own name is no pattern. */
	for (; *pattern != '/' && slash != NULL && path <= slash; path++) {
		if (strchr("*?[\\", *path) != NULL)
			bytes_add_text(&result, "\\");
		bytes_add(&result, path, 1);
	}
	bytes_add(&result, pattern, strlen(pattern) + 1);
	return result.data;
}

static void
push_matches(struct files *files, const glob_t *matches, struct place place)
{
	uint32_t parent = files->count - 1;
	uint32_t depth = files->stack[parent].depth + 1;

	for (size_t i = matches->gl_pathc; i-- > 0;) {
		push(files, matches->gl_pathv[i], place);
		files->stack[files->count - 1].parent = parent;
		files->stack[files->count - 1].depth = depth;
	}
}

/* An include directory may be missing; one that can't be read is an error. */
static int
on_glob_error(const char *path, int error)
{
	(void)path;
	return error != ENOENT;
}

void
files_include(struct files *files, struct place place, const char *pattern)
{
	const struct file *top = &files->stack[files->count - 1];
	glob_t matches = {0};
	char *full;
	int error;

	if (*pattern == '\0' || top->depth >= FILES_DEPTH_MAX) {
		report_add(files->report, place, "%s",
		    *pattern == '\0'
			? "include: the file's name is empty"
			: "include: files include each other more than 8 deep");
		return;
	}
	full = resolve(top->path, pattern);
	error = glob(full, 0, on_glob_error, &matches);
	if (error == 0 && matches.gl_pathc > FILES_MAX)
		report_add(files->report, place,
		    "include: %.200s matches %zu files: at most %d are read",
		    full, matches.gl_pathc, FILES_MAX);
	else if (error == 0)
		push_matches(files, &matches, place);
	else if (error != GLOB_NOMATCH)
		report_add(files->report, place,
		    "include: %.200s can't be searched: is its directory "
		    "readable?",
		    full);
	else if (strpbrk(pattern, "*?[") == NULL)
		report_add(files->report, place,
		    "include: there is no file %.200s", full);
	globfree(&matches);
	memory_free(full);
}
