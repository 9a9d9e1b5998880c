/*
 * test_ctl_golden - srvctl's words, all of them, as transcripts.
 *
 * Each file in golden/ is a row of cases.  A case is what is typed, what a
 * made-up gateway answers, and what srvctl then asks, prints and exits with:
 *
 *	# a comment
 *	$ reload --dry-run       the command line; quotes as in a shell
 *	@ 80                     on a terminal of so many columns; "@ 80 color"
 *	? y                      typed there
 *	> METHOD PARAMETERS      what the gateway was asked
 *	< {"parameters":{}}      its answers to that; \0 is a byte of value 0
 *	x                        then its process ends
 *	= 0                      exit status
 *	| text                   a line on stdout, or on the terminal
 *	! text                   a line on stderr
 *
 * The lines >, =, | and ! are written again from what happens, and the file
 * must come out as it was.  With SRVCTL_GOLDEN=write in the environment it
 * is replaced by that: look at the difference before you commit it.
 */
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/ctl_case.h"

/* Every line of bytes with a prefix. */
static void
text_add_lines(struct text *text, const char *prefix, const char *bytes)
{
	while (*bytes != '\0') {
		size_t length = strcspn(bytes, "\n");

		if (length > 0)
			text_add_line(text, prefix, bytes, length);
		else /* no space at the end of a line */
			text_add_line(text, "", prefix, 1);
		bytes += length + (bytes[length] == '\n');
	}
}

/* From a file to cases, and back. */

static void
golden_line(struct golden *golden, const char *line, size_t length)
{
	char word[8] = "";

	if (line[0] == '>' || line[0] == '<')
		text_add_line(&golden->answers, "", line, length);
	else if (line[0] == 'x')
		golden->ends = true;
	else if (strchr("$@?", line[0]) != NULL)
		text_add_line(&golden->typed, "", line, length);
	if (line[0] == '$')
		(void)snprintf(golden->command, sizeof(golden->command), "%.*s",
		    (int)length - 2, length > 2 ? line + 2 : "");
	if (line[0] == '?')
		(void)snprintf(golden->input, sizeof(golden->input), "%.*s\n",
		    (int)length - 2, length > 2 ? line + 2 : "");
	if (line[0] == '@') {
		golden->width = (unsigned)strtoul(line + 2, NULL, 10);
		(void)snprintf(word, sizeof(word), "%.5s", line + length - 5);
		golden->color = strcmp(word, "color") == 0;
	}
}

/* The next case; returns where it ends, or NULL if there is none. */
static const char *
golden_next(struct golden *golden, const char *at)
{
	bool begun = false;

	memset(golden, 0, sizeof(*golden));
	while (*at != '\0') {
		size_t length = strcspn(at, "\n");
		bool between = length == 0 || at[0] == '#';

		if (begun && (between || at[0] == '$'))
			break;
		if (between)
			text_add_line(&golden->head, "", at, length);
		else
			golden_line(golden, at, length);
		begun = begun || !between;
		at += length + (at[length] == '\n');
	}
	return begun ? at : NULL;
}

/* What was asked, each with the answers that the script has for it. */
static void
render_calls(const struct golden *golden, const struct happened *happened,
    struct text *whole)
{
	const char *call = happened->calls.bytes;
	const char *script = golden->answers.bytes;

	while (*call != '\0') {
		size_t length = strcspn(call, "\n");

		text_add_line(whole, "", call, length);
		call += length + 1;
		script += *script == '\0' ? 0 : strcspn(script, "\n") + 1;
		while (*script == '<') {
			length = strcspn(script, "\n");
			text_add_line(whole, "", script, length);
			script += length + 1;
		}
	}
}

static void
render(const struct golden *golden, const struct happened *happened,
    struct text *whole)
{
	char status[16];

	text_add(whole, golden->head.bytes, golden->head.length);
	text_add(whole, golden->typed.bytes, golden->typed.length);
	render_calls(golden, happened, whole);
	if (golden->ends)
		text_add_line(whole, "", "x", 1);
	(void)snprintf(status, sizeof(status), "%d", happened->status);
	text_add_line(whole, "= ", status, strlen(status));
	text_add_lines(whole, "| ", happened->out.bytes);
	text_add_lines(whole, "! ", happened->err.bytes);
}

static void
file_write(const char *path, const struct text *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text->bytes, 1, text->length, file),
	    text->length);
	ck_assert_int_eq(fclose(file), 0);
}

static void
file_check(const char *path)
{
	static struct golden golden;
	static struct happened happened;
	static struct text wanted;
	static struct text whole;
	const char *mode = getenv("SRVCTL_GOLDEN");
	const char *at = wanted.bytes;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: cannot be read", path);
	text_read(&wanted, fd);
	(void)close(fd);
	whole.length = 0;
	while ((at = golden_next(&golden, at)) != NULL) {
		size_t before = whole.length;

		run(&golden, &happened);
		render(&golden, &happened, &whole);
		if (mode != NULL)
			continue;
		ck_assert_msg(strncmp(wanted.bytes + before,
				  whole.bytes + before,
				  whole.length - before) == 0,
		    "%s: this is what happened instead:\n%s", path,
		    whole.bytes + before);
	}
	if (mode != NULL)
		file_write(path, &whole);
	else
		ck_assert_str_eq(wanted.bytes, whole.bytes);
}

START_TEST(srvctl_says_what_it_always_said)
{
	glob_t files;

	(void)snprintf(directory, sizeof(directory), "/tmp/srvctl.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	(void)snprintf(socket_path, sizeof(socket_path), "%s/s", directory);
	ck_assert_int_eq(glob(GOLDEN_DIRECTORY "/*.txt", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++)
		file_check(files.gl_pathv[i]);
	globfree(&files);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

UNIT_MAIN("ctl_golden", srvctl_says_what_it_always_said)
