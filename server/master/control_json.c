/*
 * control_json - pieces of the control socket's answers; control_json.h.
 */
#include <stdlib.h>
#include <string.h>

#include "server/master/control_json.h"

json_int_t
control_number(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (json_int_t)value;
}

json_t *
control_text(const char *text)
{
	json_t *string = json_string(text);
	char *copy;

	if (string != NULL)
		return string;
	copy = strdup(text);
	if (copy == NULL)
		return NULL;
	for (char *p = copy; *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	string = json_string(copy);
	free(copy);
	return string;
}

void
control_row(json_t **rows, json_t *row)
{
	if (json_array_append_new(*rows, row) == 0)
		return;
	json_decref(*rows);
	*rows = NULL;
}
