/*
 * wrap - pieces of text on lines; see wrap.h.
 */
#include <stdarg.h>
#include <string.h>

#include "ctl/text.h"
#include "ctl/wrap.h"

static void
put(struct wrap *wrap, const char *text)
{
	char shown[TEXT_SIZE];
	size_t columns = text_columns(text_show(text, shown));
	size_t space = wrap->used == 0 ? 0 : wrap->gap;

	if (wrap->width > 0 && wrap->used > wrap->indent &&
	    wrap->used + space + columns > wrap->width) {
		fputc('\n', wrap->out);
		wrap->used = 0;
		space = wrap->indent;
	}
	fprintf(wrap->out, "%*s%s", (int)space, "", shown);
	wrap->used += space + columns;
}

void
wrap_piece(struct wrap *wrap, const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put(wrap, text);
}

void
wrap_words(struct wrap *wrap, const char *text)
{
	char word[TEXT_SIZE];

	while (*text != '\0') {
		size_t length = strcspn(text, " ");

		/* A longer word comes in parts. */
		if (length >= sizeof(word))
			length = sizeof(word) - 1;
		memcpy(word, text, length);
		word[length] = '\0';
		if (length > 0)
			put(wrap, word);
		text += length;
		text += strspn(text, " ");
	}
}

void
wrap_end(struct wrap *wrap)
{
	fputc('\n', wrap->out);
	wrap->used = 0;
}
