/*
 * canon - the configuration as plain text for libconfuse; see canon.h.
 */
#include "server/config/canon.h"

static void
end_line(struct canon *canon, struct place place, const char *text)
{
	bytes_add_text(&canon->text, text);
	bytes_add_text(&canon->text, "\n");
	canon->places =
	    memory_grow(canon->places, canon->lines, sizeof(*canon->places));
	canon->places[canon->lines++] = place;
}

static void
add_quoted(struct canon *canon, const char *value)
{
	bytes_add_text(&canon->text, "'");
	for (; *value != '\0'; value++) {
		if (*value == '\'' || *value == '\\')
			bytes_add_text(&canon->text, "\\");
		bytes_add(&canon->text, value, 1);
	}
	bytes_add_text(&canon->text, "'");
}

void
canon_setting(struct canon *canon, struct place place, const char *name,
    const char *value)
{
	bytes_add_text(&canon->text, name);
	bytes_add_text(&canon->text, " = ");
	add_quoted(canon, value);
	end_line(canon, place, "");
}

void
canon_list_begin(struct canon *canon, struct place place, const char *name)
{
	bytes_add_text(&canon->text, name);
	end_line(canon, place, " = {");
}

void
canon_list_value(struct canon *canon, struct place place, bool first,
    const char *value)
{
	if (!first)
		bytes_add_text(&canon->text, ", ");
	add_quoted(canon, value);
	end_line(canon, place, "");
}

void
canon_section_begin(struct canon *canon, struct place place, const char *name,
    const char *title)
{
	bytes_add_text(&canon->text, name);
	if (title != NULL) {
		bytes_add_text(&canon->text, " ");
		add_quoted(canon, title);
	}
	end_line(canon, place, " {");
}

void
canon_end(struct canon *canon, struct place place)
{
	end_line(canon, place, "}");
}

void
canon_keep_aside(struct canon *canon, const struct section *section,
    const struct key *key, struct place place, const char *value)
{
	struct canon_aside *aside;

	canon->asides = memory_grow(canon->asides, canon->asides_count,
	    sizeof(*canon->asides));
	aside = &canon->asides[canon->asides_count++];
	aside->section = section;
	aside->key = key;
	aside->place = place;
	aside->value = memory_copy(value);
}

struct place
canon_place(const struct canon *canon, int line)
{
	const struct place nowhere = {0};

	if (line < 1 || (uint32_t)line > canon->lines)
		return nowhere;
	return canon->places[line - 1];
}
