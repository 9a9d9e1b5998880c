/*
 * shortages - what a gateway says of what it lacks; see shortages.h.
 */
#include <string.h>

#include "shortages.h"

#define LOG_SIZE (1u << 20)

unsigned
shortage_lines(const struct gateway *g, const char *words)
{
	static char text[LOG_SIZE];
	unsigned count = 0;

	proc_read_file(g->log, text, sizeof text);
	for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
		count++;
	return count;
}

void
shortage_expect_said_once(const struct gateway *g, const char *words)
{
	uint64_t end = e2e_now_ms() + SHORTAGE_OVER_MS;

	while (shortage_lines(g, words) == 0 && e2e_now_ms() < end)
		e2e_pause(5);
	ck_assert_msg(shortage_lines(g, words) == 1, "\"%s\" was said %u times",
	    words, shortage_lines(g, words));
}

/* NULL: there is no such worker (yet). */
static json_t *
worker_of(const json_t *status, unsigned index)
{
	return json_array_get(json_object_get(status, "workers"), index);
}

bool
shortage_is_shown(const struct gateway *g, unsigned index, const char *word)
{
	json_t *status = gateway_status(g);
	json_t *words = json_object_get(worker_of(status, index), "short_of");
	bool shown = false;
	size_t i;
	json_t *each;

	json_array_foreach(words, i, each)
	{
		shown = shown || strcmp(json_string_value(each), word) == 0;
	}
	json_decref(status);
	return shown;
}

void
shortage_expect(const struct gateway *g, unsigned index, const char *word,
    bool shown)
{
	uint64_t end = e2e_now_ms() + SHORTAGE_OVER_MS;

	while (shortage_is_shown(g, index, word) != shown) {
		ck_assert_msg(e2e_now_ms() < end, "worker %u is %s short of %s",
		    index, shown ? "not" : "still", word);
		e2e_pause(10);
	}
}

void
shortage_expect_fault(const struct gateway *g, unsigned index,
    const char *words)
{
	uint64_t end = e2e_now_ms() + SHORTAGE_OVER_MS;
	bool right = false;

	while (!right) {
		json_t *status = gateway_status(g);
		const char *fault =
		    json_string_value(json_object_get(worker_of(status, index),
			"fault"));

		right = words == NULL
		    ? fault == NULL
		    : fault != NULL && strstr(fault, words) != NULL;
		ck_assert_msg(right || e2e_now_ms() < end,
		    "the fault of worker %u is \"%s\", not \"%s\"", index,
		    fault == NULL ? "" : fault, words == NULL ? "" : words);
		json_decref(status);
		e2e_pause(5);
	}
}
