/*
 * text - what a person reads; see text.h.
 */
#include <langinfo.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "ctl/text.h"

/*
 * One character of UTF-8 at p (RFC 3629: no overlong forms, no surrogates,
 * nothing past U+10FFFF): its length with *code, or 0 if there is none.
 */
static size_t
utf8_next(const unsigned char *p, uint32_t *code)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800},
	    {0xf8, 0xf0, 0x10000}};
	size_t n;

	for (n = 0; n < ARRAY_LEN(forms); n++) {
		if ((p[0] & forms[n].mask) == forms[n].lead)
			break;
	}
	if (n == ARRAY_LEN(forms))
		return 0;
	*code = p[0] & (unsigned char)~forms[n].mask;
	for (size_t i = 1; i <= n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (p[i] & 0x3f);
	}
	if (*code < forms[n].least || *code > 0x10ffff ||
	    (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return n + 1;
}

/* Controls, and what hides, joins or turns around the text beside it. */
static bool
code_is_harmless(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} bad[] = {
	    {0x0000, 0x001f},                      /* C0 */
	    {0x007f, 0x009f},                      /* DEL, C1 */
	    {0x00ad, 0x00ad},                      /* soft hyphen */
	    {0x061c, 0x061c},                      /* Arabic letter mark */
	    {0x180e, 0x180e}, {0x200b, 0x200f},    /* zero width, direction */
	    {0x2028, 0x202e},                      /* separators, embeddings */
	    {0x2060, 0x206f},                      /* joiners, isolates */
	    {0xd800, 0xf8ff},                      /* surrogates, private use */
	    {0xfeff, 0xfeff},                      /* byte order mark */
	    {0xfff0, 0xfffb}, {0xe0000, 0x10ffff}, /* tags, private use */
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (code >= bad[i].first && code <= bad[i].last)
			return false;
	}
	return true;
}

static bool
terminal_is_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* ASCII without its controls. */
static bool
is_plain(unsigned char byte)
{
	return byte >= 0x20 && byte < 0x7f;
}

/* One character of text as it may be shown: writes at most 4 bytes to out,
 * returns how many, and moves *text behind it. */
static size_t
show_next(const unsigned char **text, bool utf8, char out[4])
{
	uint32_t code = 0;
	size_t length;
	bool good;

	/* Nearly all there is. */
	if (is_plain(**text)) {
		out[0] = (char)*(*text)++;
		return 1;
	}
	length = utf8_next(*text, &code);
	good = length > 0 && code_is_harmless(code) && (code < 0x80 || utf8);
	if (good)
		memcpy(out, *text, length);
	else
		out[0] = '?';
	*text += length > 0 ? length : 1;
	return good ? length : 1;
}

const char *
text_show(const char *text, char shown[TEXT_SIZE])
{
	const unsigned char *p = (const unsigned char *)text;
	bool utf8 = terminal_is_utf8();
	const char *cut = utf8 ? "\xe2\x80\xa6" : "...";
	size_t used = 0;

	while (*p != '\0') {
		/* Room for this one, the mark of a cut, and the NUL. */
		if (used + 4 + 3 + 1 > TEXT_SIZE) {
			memcpy(shown + used, cut, 3);
			used += 3;
			break;
		}
		used += show_next(&p, utf8, shown + used);
	}
	shown[used] = '\0';
	return shown;
}

void
text_put(FILE *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	bool utf8 = terminal_is_utf8();

	while (*p != '\0') {
		char shown[4] = "";
		size_t length = show_next(&p, utf8, shown);

		(void)fwrite(shown, 1, length, out);
	}
}

/* The next character's bytes and columns; text has been through text_show. */
static size_t
shown_next(const unsigned char *p, size_t *columns)
{
	uint32_t code = 0;
	size_t length = is_plain(*p) ? 1 : utf8_next(p, &code);
	int width = length > 1 ? wcwidth((wchar_t)code) : 1;

	*columns = width >= 0 ? (size_t)width : 1;
	return length > 0 ? length : 1;
}

size_t
text_columns(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t columns = 0;

	while (*p != '\0') {
		size_t width = 0;

		p += shown_next(p, &width);
		columns += width;
	}
	return columns;
}

const char *
text_cut(const char *text, size_t columns, char cut[TEXT_SIZE])
{
	const char *mark = terminal_is_utf8() ? "\xe2\x80\xa6" : "~";
	const unsigned char *p = (const unsigned char *)text;
	size_t used = 0;

	if (text_columns(text) <= columns)
		return text;
	for (;;) {
		size_t width = 0;
		size_t length = shown_next(p, &width);

		if (used + width + 1 > columns)
			break;
		p += length;
		used += width;
	}
	(void)snprintf(cut, TEXT_SIZE, "%.*s%s",
	    (int)(p - (const unsigned char *)text), text, mark);
	return cut;
}

const char *
text_count(int64_t count, char text[TEXT_SIZE])
{
	char digits[32]; /* from the last to the first, with commas */
	uint64_t rest = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
	size_t used = 0;
	size_t length = 0;

	for (unsigned i = 0; i == 0 || rest > 0; i++) {
		if (i > 0 && i % 3 == 0)
			digits[used++] = ',';
		digits[used++] = (char)('0' + rest % 10);
		rest /= 10;
	}
	if (count < 0)
		text[length++] = '-';
	while (used > 0)
		text[length++] = digits[--used];
	text[length] = '\0';
	return text;
}

const char *
text_connections(int64_t count, char text[TEXT_SIZE])
{
	char number[TEXT_SIZE];

	(void)snprintf(text, TEXT_SIZE, "%.64s connection%s",
	    text_count(count, number), count == 1 ? "" : "s");
	return text;
}

const char *
text_bytes(int64_t bytes, char text[TEXT_SIZE])
{
	static const char *const units[] = {
	    "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	int64_t whole = bytes;
	int64_t rest = 0;
	size_t unit = 0;

	if (bytes < 1024) {
		(void)snprintf(text, TEXT_SIZE, "%lld B", (long long)bytes);
		return text;
	}
	for (;; unit++) {
		rest = whole % 1024;
		whole /= 1024;
		if (whole < 1024)
			break;
	}
	(void)snprintf(text, TEXT_SIZE, "%lld.%lld %s", (long long)whole,
	    (long long)(rest * 10 / 1024), units[unit]);
	return text;
}

const char *
text_age(int64_t seconds, char text[TEXT_SIZE])
{
	static const struct {
		int64_t seconds;
		char name;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;

	if (seconds < 0)
		seconds = 0;
	while (i < ARRAY_LEN(units) - 1 && seconds < units[i].seconds)
		i++;
	if (i == ARRAY_LEN(units) - 1)
		(void)snprintf(text, TEXT_SIZE, "%llds", (long long)seconds);
	else
		(void)snprintf(text, TEXT_SIZE, "%lld%c %lld%c",
		    (long long)(seconds / units[i].seconds), units[i].name,
		    (long long)(seconds % units[i].seconds /
			units[i + 1].seconds),
		    units[i + 1].name);
	return text;
}

const char *
text_time(int64_t us, char text[TEXT_SIZE])
{
	time_t when = (time_t)(us / 1000000);
	struct tm tm;

	if (localtime_r(&when, &tm) == NULL ||
	    strftime(text, TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		(void)snprintf(text, TEXT_SIZE, "?");
	return text;
}
