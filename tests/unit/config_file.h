/*
 * config_file - what the tests of the configuration share: a temporary
 * directory, files in it, and loading one of them.
 */
#ifndef SRVD_TESTS_CONFIG_FILE_H
#define SRVD_TESTS_CONFIG_FILE_H

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/config/config.h"
#include "tests/unit/unit.h"

/* A service with all that it needs, on one line. */
#define SERVICE                             \
	"service s { listen = 127.0.0.1:1 " \
	"backend b { address = builtin:echo } }\n"

static char directory[64];

static inline int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline void
remove_directory(void)
{
	(void)nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Each test is a process of its own: the directory goes when it ends. */
static inline void
make_directory(void)
{
	ck_assert_int_eq(atexit(remove_directory), 0);
	(void)snprintf(directory, sizeof(directory), "/tmp/srvd-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static inline const char *
path_of(const char *name)
{
	static char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static inline void
write_bytes(const char *name, const char *bytes, size_t length)
{
	FILE *file = fopen(path_of(name), "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
	ck_assert_int_eq(fclose(file), 0);
}

static inline void
write_text(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text));
}

static inline struct config_result
load_request(const struct config_request *request)
{
	struct config_result result;

	config_load(request, &result);
	ck_assert_int_eq(result.plan == NULL, result.errors_count > 0);
	ck_assert_int_eq(result.plan_fd<0, result.errors_count> 0);
	return result;
}

static inline struct config_result
load(const char *name, bool check_only)
{
	const struct config_request request = {
	    .path = path_of(name),
	    .check_only = check_only,
	    .generation = 1,
	    .nofile = 20000,
	};

	return load_request(&request);
}

/* A reload: as it follows a plan, nothing of which is in use. */
static inline struct config_result
load_after(const char *name, const struct plan *previous)
{
	const struct config_request request = {
	    .path = path_of(name),
	    .check_only = true,
	    .generation = previous->generation + 1,
	    .nofile = 20000,
	    .previous = previous,
	};

	return load_request(&request);
}

/* Is there an error at that line of a file whose name ends so? */
static inline bool
has_error(const struct config_result *result, const char *file, uint32_t line,
    const char *message)
{
	for (size_t i = 0; i < result->errors_count; i++) {
		const struct config_error *error = &result->errors[i];
		size_t length = strlen(error->file);
		size_t tail = strlen(file);

		if (error->line == line && length >= tail &&
		    strcmp(error->file + length - tail, file) == 0 &&
		    strstr(error->message, message) != NULL)
			return true;
	}
	return false;
}

static inline void
show_errors(const struct config_result *result)
{
	for (size_t i = 0; i < result->errors_count; i++)
		(void)fprintf(stderr, "  %s:%u: %s\n", result->errors[i].file,
		    result->errors[i].line, result->errors[i].message);
}

/* The plan that a text compiles to; the test fails if there is none. */
static inline struct config_result
load_good(const char *name, bool check_only)
{
	struct config_result result = load(name, check_only);

	show_errors(&result);
	ck_assert_ptr_nonnull(result.plan);
	return result;
}

#endif
