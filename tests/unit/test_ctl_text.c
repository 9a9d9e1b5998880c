/*
 * test_ctl_text - what srvctl shows: safe text, units, aligned tables.
 */
#include "tests/unit/unit.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ctl/table.h"
#include "ctl/text.h"
#include "ctl/wrap.h"

static void
use_utf8(bool utf8)
{
	ck_assert_ptr_nonnull(setlocale(LC_ALL, utf8 ? "C.UTF-8" : "C"));
}

START_TEST(hostile_text_is_made_printable)
{
	static const struct {
		const char *text;
		const char *shown;
	} rows[] = {
	    {"plain text_1", "plain text_1"},
	    {"a\033[2Jb", "a?[2Jb"},
	    {"a\nb\tc\rd\177e", "a?b?c?d?e"},
	    {"caf\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x99\x82",
		"caf\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x99\x82"},
	    {"\xc2\x9b"
	     "31m",
		"?31m"}, /* CSI as one character */
	    /* NOLINTNEXTLINE(misc-misleading-bidirectional): it is */
	    {"\xe2\x80\xae"
	     "evil",
		"?evil"}, /* right to left */
	    {"a\xe2\x80\x8b"
	     "b",
		"a?b"}, /* zero width */
	    {"\xef\xbb\xbf", "?"},
	    {"\xff\xfe", "??"},
	    {"\xc3", "?"},
	    {"\xc3(", "?("},
	    {"\xe2\x82", "??"},
	    {"\xc0\xaf", "??"},           /* overlong */
	    {"\xed\xa0\x80", "???"},      /* surrogate */
	    {"\xf4\x90\x80\x80", "????"}, /* past the last */
	    {"\xf8\x88\x80\x80\x80", "?????"},
	};
	char shown[TEXT_SIZE];

	use_utf8(true);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_str_eq(text_show(rows[i].text, shown), rows[i].shown);
	use_utf8(false);
	ck_assert_str_eq(text_show("caf\xc3\xa9", shown), "caf?");
}
END_TEST

START_TEST(long_text_is_cut_between_characters)
{
	char text[4 * TEXT_SIZE];
	char shown[TEXT_SIZE];
	size_t length;

	use_utf8(true);
	/* Each of the four ways a character can meet the end. */
	for (size_t lead = 0; lead < 4; lead++) {
		memset(text, 'x', sizeof(text));
		for (size_t i = lead; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "\xf0\x9f\x99\x82", 4);
		text[sizeof(text) - 1] = '\0';
		length = strlen(text_show(text, shown));
		ck_assert_uint_lt(length, TEXT_SIZE);
		ck_assert_str_eq(shown + length - 3, "\xe2\x80\xa6");
		ck_assert_uint_eq((length - 3 - lead) % 4, 0);
	}
}
END_TEST

START_TEST(numbers_have_units)
{
	char text[TEXT_SIZE];

	ck_assert_str_eq(text_count(0, text), "0");
	ck_assert_str_eq(text_count(999, text), "999");
	ck_assert_str_eq(text_count(1000, text), "1,000");
	ck_assert_str_eq(text_count(1234567, text), "1,234,567");
	ck_assert_str_eq(text_count(-123456, text), "-123,456");
	ck_assert_str_eq(text_count(INT64_MIN, text),
	    "-9,223,372,036,854,775,808");
	ck_assert_str_eq(text_bytes(0, text), "0 B");
	ck_assert_str_eq(text_bytes(1023, text), "1023 B");
	ck_assert_str_eq(text_bytes(1024, text), "1.0 KiB");
	ck_assert_str_eq(text_bytes(1536, text), "1.5 KiB");
	ck_assert_str_eq(text_bytes(1048575, text), "1023.9 KiB");
	ck_assert_str_eq(text_bytes(INT64_MAX, text), "7.9 EiB");
	ck_assert_str_eq(text_age(0, text), "0s");
	ck_assert_str_eq(text_age(59, text), "59s");
	ck_assert_str_eq(text_age(60, text), "1m 0s");
	ck_assert_str_eq(text_age(3661, text), "1h 1m");
	ck_assert_str_eq(text_age(90000, text), "1d 1h");
	ck_assert_str_eq(text_age(-5, text), "0s");
}
END_TEST

static const struct table_column columns[] = {
    {.title = "NAME"},
    {.title = "N", .right = true, .rank = 1},
    {.title = "NOTE"},
};

static char *
printed(struct table *table)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	table_flush(table, out);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

static struct table *
table_of(bool color, size_t width)
{
	const struct table_look look = {.color = color, .width = width};

	return table_new(columns, ARRAY_LEN(columns), &look);
}

static void
row(struct table *table, const char *name, const char *n, const char *note)
{
	table_cell(table, STYLE_PLAIN, name);
	table_cell(table, STYLE_GOOD, n);
	table_cell(table, STYLE_PLAIN, note);
}

START_TEST(tables_are_aligned_by_columns_of_the_terminal)
{
	struct table *table = table_of(false, 0);
	char *text;

	use_utf8(true);
	row(table, "a", "1", "");
	row(table, "caf\xc3\xa9 \xe6\xbc\xa2", "1,000", "x");
	row(table, "", "", "y");
	row(table, "", "", "");
	text = printed(table);
	ck_assert_str_eq(text,
	    "NAME         N  NOTE\n"
	    "a            1\n"
	    "caf\xc3\xa9 \xe6\xbc\xa2  1,000  x\n"
	    "                y\n"
	    "\n");
	free(text);
	table_free(table);
}
END_TEST

START_TEST(colours_change_no_layout_and_cells_no_colours)
{
	struct table *table = table_of(true, 0);
	char *text;

	use_utf8(true);
	row(table, "a\033[31m", "12", "b");
	text = printed(table);
	ck_assert_str_eq(text,
	    "\033[1mNAME\033[0m     \033[1mN\033[0m  \033[1mNOTE\033[0m\n"
	    "a?[31m  \033[32m12\033[0m  b\n");
	free(text);
	table_free(table);
}
END_TEST

START_TEST(a_table_without_rows_is_nothing)
{
	struct table *table = table_of(false, 0);
	char *text = printed(table);

	ck_assert_str_eq(text, "");
	free(text);
	table_free(table);
}
END_TEST

/* What three rows look like within so many columns. */
static void
fits(size_t width, const char *wanted)
{
	struct table *table = table_of(false, width);
	char *text;

	row(table, "gateway", "12", "a note of some length");
	row(table, "b", "1,000", "short");
	text = printed(table);
	ck_assert_msg(strcmp(text, wanted) == 0, "within %zu:\n%s", width,
	    text);
	free(text);
	table_free(table);
}

START_TEST(tables_fit_any_width)
{
	use_utf8(true);
	fits(100,
	    "NAME         N  NOTE\n"
	    "gateway     12  a note of some length\n"
	    "b        1,000  short\n");
	fits(30,
	    "NAME     NOTE\n"
	    "gateway  a note of some length\n"
	    "b        short\n");
	fits(20,
	    "NAME     NOTE\n"
	    "gateway  a note of \xe2\x80\xa6\n"
	    "b        short\n");
	fits(10,
	    "NAME  NOTE\n"
	    "gat\xe2\x80\xa6  a n\xe2\x80\xa6\n"
	    "b     sho\xe2\x80\xa6\n");
	/* No narrower than that: the terminal's affair. */
	fits(1,
	    "NAME  NOTE\n"
	    "gat\xe2\x80\xa6  a n\xe2\x80\xa6\n"
	    "b     sho\xe2\x80\xa6\n");
	use_utf8(false);
	fits(10,
	    "NAME  NOTE\n"
	    "gat~  a n~\n"
	    "b     sho~\n");
}
END_TEST

START_TEST(some_columns_may_be_narrow_first)
{
	static const struct table_column soft[] = {
	    {.title = "NAME"},
	    {.title = "N", .rank = 1},
	    {.title = "NOTE", .narrow = 6},
	};
	static const struct {
		size_t width;
		const char *wanted;
	} rows[] = {
	    {22, "NAME  N   NOTE\nname  12  a long note\n"},
	    {18, "NAME  N   NOTE\nname  12  a long \xe2\x80\xa6\n"},
	    {16, "NAME  N   NOTE\nname  12  a lon\xe2\x80\xa6\n"},
	    {15, "NAME  NOTE\nname  a long n\xe2\x80\xa6\n"},
	};

	use_utf8(true);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct table_look look = {.width = rows[i].width};
		struct table *table = table_new(soft, ARRAY_LEN(soft), &look);
		char *text;

		row(table, "name", "12", "a long note");
		text = printed(table);
		ck_assert_str_eq(text, rows[i].wanted);
		free(text);
		table_free(table);
	}
}
END_TEST

START_TEST(the_first_rows_decide_about_widths)
{
	struct table *table = table_of(false, 24);
	struct table *wide = table_of(false, 0);
	char *text;

	use_utf8(true);
	row(table, "name", "1", "note");
	free(printed(table));
	row(table, "a longer name", "2", "x");
	text = printed(table);
	ck_assert_str_eq(text, "a l\xe2\x80\xa6  2  x\n");
	free(text);
	table_free(table);
	row(wide, "name", "1", "note");
	free(printed(wide));
	row(wide, "a longer name", "2", "x");
	text = printed(wide);
	ck_assert_str_eq(text, "a longer name  2  x\n");
	free(text);
	table_free(wide);
}
END_TEST

START_TEST(text_is_cut_by_columns)
{
	char cut[TEXT_SIZE];

	use_utf8(true);
	ck_assert_str_eq(text_cut("abc", 3, cut), "abc");
	ck_assert_str_eq(text_cut("abcd", 3, cut), "ab\xe2\x80\xa6");
	ck_assert_str_eq(text_cut("abcd", 1, cut), "\xe2\x80\xa6");
	/* Two columns each: the second does not fit beside the mark. */
	ck_assert_str_eq(text_cut("\xe6\xbc\xa2\xe6\xbc\xa2", 3, cut),
	    "\xe6\xbc\xa2\xe2\x80\xa6");
	ck_assert_str_eq(text_cut("a\xe6\xbc\xa2\xe6\xbc\xa2", 3, cut),
	    "a\xe2\x80\xa6");
}
END_TEST

START_TEST(pieces_are_wrapped_whole)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct wrap wrap = {.out = out, .width = 16, .indent = 2, .gap = 2};

	wrap_piece(&wrap, "%s", "one piece");
	wrap_piece(&wrap, "%s", "two");
	wrap_piece(&wrap, "%s", "three\033[m");
	wrap_piece(&wrap, "%s", "one longer than the line");
	wrap_piece(&wrap, "%s", "x");
	wrap_end(&wrap);
	wrap.gap = 1;
	wrap_words(&wrap, " words of a  sentence");
	wrap_end(&wrap);
	wrap.width = 0;
	wrap_words(&wrap, "no limit is no end of a line");
	wrap_end(&wrap);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_str_eq(text,
	    "one piece  two\n"
	    "  three?[m\n"
	    "  one longer than the line\n"
	    "  x\n"
	    "words of a\n"
	    "  sentence\n"
	    "no limit is no end of a line\n");
	free(text);
}
END_TEST

START_TEST(a_terminal_has_width_and_colours)
{
	const struct winsize size = {.ws_row = 24, .ws_col = 132};
	FILE *out = tmpfile();
	struct table_look look;

	ck_assert_ptr_nonnull(out);
	(void)setenv("TERM", "xterm", 1);
	(void)setenv("COLUMNS", "40", 1);
	(void)unsetenv("NO_COLOR");
	look = table_look(out);
	ck_assert(!look.color && !look.terminal && look.width == 0);
	(void)fclose(out);
	ck_assert_str_eq(table_paint(STYLE_BAD, false), "");
	/* The other way round takes a terminal. */
	out = fopen("/dev/ptmx", "r+");
	if (out == NULL)
		return;
	ck_assert_int_eq(ioctl(fileno(out), TIOCSWINSZ, &size), 0);
	look = table_look(out);
	ck_assert(look.color && look.terminal && look.width == 40);
	(void)setenv("COLUMNS", "many", 1);
	ck_assert_uint_eq(table_look(out).width, 132);
	(void)setenv("NO_COLOR", "1", 1);
	ck_assert(!table_look(out).color);
	(void)unsetenv("NO_COLOR");
	(void)setenv("TERM", "dumb", 1);
	ck_assert(!table_look(out).color);
	(void)fclose(out);
}
END_TEST

UNIT_MAIN("ctl_text", hostile_text_is_made_printable,
    long_text_is_cut_between_characters, numbers_have_units,
    tables_are_aligned_by_columns_of_the_terminal,
    colours_change_no_layout_and_cells_no_colours,
    a_table_without_rows_is_nothing, tables_fit_any_width,
    some_columns_may_be_narrow_first, the_first_rows_decide_about_widths,
    text_is_cut_by_columns, pieces_are_wrapped_whole,
    a_terminal_has_width_and_colours)
