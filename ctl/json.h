/*
 * json - members of an answer, as srvctl wants to show them.
 *
 * Runs in: srvctl.  What is missing or of another type reads as 0 or "": an
 * older or newer gateway is shown as far as it is understood.
 */
#ifndef SRVD_CTL_JSON_H
#define SRVD_CTL_JSON_H

#include <jansson.h>
#include <stdint.h>
#include <string.h>

static inline int64_t
json_number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static inline const char *
json_text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

static inline int
json_text_is(const json_t *object, const char *key, const char *word)
{
	return strcmp(json_text_of(object, key), word) == 0;
}

#endif
