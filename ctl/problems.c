/*
 * problems - what wants a person's attention; see problems.h.
 *
 * One function looks at one kind of thing; what they have in common is how a
 * problem is written down.
 */
#include <stdarg.h>

#include "common/attr.h"
#include "common/shortage.h"
#include "ctl/json.h"
#include "ctl/problems.h"
#include "ctl/text.h"
#include "ctl/wrap.h"

/* Nearly full: from so many per cent of max_connections on. */
#define FULL_PERCENT 90
/* Of a problem; a reload may have failed for a long reason. */
#define LINE_SIZE 4096

struct problems {
	const json_t *status;
	FILE *out;
	const struct table_look *look;
	size_t count;
};

typedef void problem_fn(struct problems *problems);

static void problem(struct problems *problems, enum table_style style,
    const char *format, ...) printf_like(3, 4);

static void
problem(struct problems *problems, enum table_style style, const char *format,
    ...)
{
	bool color = problems->look->color;
	struct wrap wrap = {.out = problems->out,
	    .width = problems->look->width,
	    .indent = 2,
	    .gap = 1};
	char line[LINE_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fputs(table_paint(style, color), problems->out);
	wrap_words(&wrap, "!");
	wrap_words(&wrap, line);
	fputs(table_paint(STYLE_PLAIN, color), problems->out);
	wrap_end(&wrap);
	problems->count++;
}

static void
look_at_stop(struct problems *problems)
{
	const json_t *left = json_object_get(problems->status, "stopping_ms");
	int64_t left_ms = json_number_of(problems->status, "stopping_ms");
	char text[TEXT_SIZE];

	if (!json_is_integer(left))
		return;
	if (left_ms <= 0)
		problem(problems, STYLE_WARN, "the gateway is stopping");
	else
		problem(problems, STYLE_WARN,
		    "the gateway is stopping: its connections have at most %s "
		    "more",
		    text_age(left_ms / 1000 + (left_ms % 1000 != 0), text));
}

static void
look_at_load(struct problems *problems)
{
	const json_t *load = json_object_get(problems->status, "last_reload");

	if (json_is_false(json_object_get(load, "ok")))
		problem(problems, STYLE_BAD,
		    "the last reload failed, the configuration before it is in "
		    "force: %s",
		    json_text_of(load, "message"));
}

static void
look_at_room(struct problems *problems)
{
	const json_t *totals = json_object_get(problems->status, "totals");
	int64_t most = json_number_of(problems->status, "max_connections");
	int64_t now = json_number_of(totals, "connections");

	/* The limit fits into 32 bits: the product does not overflow. */
	if (most <= 0 || most > UINT32_MAX || now < most * FULL_PERCENT / 100)
		return;
	problem(problems, now >= most ? STYLE_BAD : STYLE_WARN,
	    "%lld of %lld connections are in use: %s", (long long)now,
	    (long long)most,
	    now >= most ? "new ones wait in the backlog" : "nearly all");
}

/* A word of a newer gateway's stands for itself. */
static const char *
meaning_of(const char *word)
{
	enum shortage shortage = shortage_find(word);

	return shortage == SHORTAGES ? "see its log"
				     : shortage_meaning(shortage);
}

static void
look_at_shortages(struct problems *problems, const json_t *worker)
{
	const json_t *words = json_object_get(worker, "short_of");
	long long index = (long long)json_number_of(worker, "index");
	size_t i;
	json_t *word;

	json_array_foreach(words, i, word)
	{
		const char *text = json_string_value(word);

		if (text != NULL)
			problem(problems, STYLE_BAD,
			    "worker %lld is out of %s: %s", index, text,
			    meaning_of(text));
	}
}

static void
look_at_workers(struct problems *problems)
{
	json_t *workers = json_object_get(problems->status, "workers");
	size_t i;
	json_t *worker;

	json_array_foreach(workers, i, worker)
	{
		long long index = (long long)json_number_of(worker, "index");
		const char *fault = json_text_of(worker, "fault");

		if (fault[0] != '\0')
			problem(problems, STYLE_BAD, "worker %lld: %s", index,
			    fault);
		if (json_text_is(worker, "state", "waiting"))
			problem(problems, STYLE_WARN,
			    "worker %lld is not running: it is started again "
			    "after a pause",
			    index);
		look_at_shortages(problems, worker);
	}
}

size_t
problems_backends_usable(const json_t *service)
{
	const json_t *backends = json_object_get(service, "backends");
	size_t usable = 0;
	size_t i;
	json_t *backend;

	json_array_foreach(backends, i, backend)
	{
		if (json_text_is(backend, "state", "up") &&
		    json_text_is(backend, "admin", "ready"))
			usable++;
	}
	return usable;
}

static void
look_at_backends(struct problems *problems, const json_t *service)
{
	const json_t *backends = json_object_get(service, "backends");
	const char *name = json_text_of(service, "name");
	size_t i;
	json_t *backend;

	if (problems_backends_usable(service) == 0)
		problem(problems, STYLE_BAD,
		    "service %s has no backend that takes connections", name);
	json_array_foreach(backends, i, backend)
	{
		if (json_text_is(backend, "state", "down"))
			problem(problems, STYLE_WARN,
			    "service %s: backend %s (%s) is down", name,
			    json_text_of(backend, "name"),
			    json_text_of(backend, "address"));
	}
}

static void
look_at_services(struct problems *problems)
{
	json_t *services = json_object_get(problems->status, "services");
	size_t i;
	json_t *service;

	json_array_foreach(services, i, service)
	    look_at_backends(problems, service);
}

static void
look_at_log(struct problems *problems)
{
	const json_t *totals = json_object_get(problems->status, "totals");
	int64_t dropped = json_number_of(totals, "log_dropped");

	if (dropped > 0)
		problem(problems, STYLE_WARN,
		    "%lld lines of the log were dropped", (long long)dropped);
}

size_t
problems_print(const json_t *status, FILE *out, const struct table_look *look)
{
	static problem_fn *const looks[] = {
	    look_at_stop,
	    look_at_load,
	    look_at_room,
	    look_at_workers,
	    look_at_services,
	    look_at_log,
	};
	struct problems problems = {.status = status, .out = out, .look = look};

	for (size_t i = 0; i < ARRAY_LEN(looks); i++)
		looks[i](&problems);
	return problems.count;
}
