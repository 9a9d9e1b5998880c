/*
 * sound - what must be so after each run of a scenario; see points.h.
 */
#include "access_log.h"
#include "census.h"
#include "counts.h"
#include "net.h"
#include "points.h"

static const int64_t residents_of[POINTS_SERVICES] = {
    [POINTS_TCP] = 2,
    [POINTS_UNIX] = 2,
    [POINTS_ECHO] = 1,
};

static const struct {
	const char *name;
	enum points_service service;
	bool is_reached; /* by all of the service, or it fails all of them */
} backends[] = {
    {"b", POINTS_TCP, true},
    {"b", POINTS_UNIX, true},
    {"b", POINTS_ECHO, true},
    {"none", POINTS_RETRY, false},
    {"gone", POINTS_RETRY, false},
    {"b", POINTS_RETRY, true},
    {"none", POINTS_SHUT, false},
};

static void
expect_alive(const struct pair *pair)
{
	if (pair->server >= 0) {
		backend_check_pair(pair->client, pair->server);
		return;
	}
	net_say(pair->client, "echo");
	net_hear(pair->client, "echo");
}

static void
expect_counts(const struct points *p)
{
	struct counts counts = {.count = 0};
	int64_t failed = 0;

	for (size_t i = 0; i < POINTS_SERVICES; i++) {
		struct counts_of of = {
		    .connections = residents_of[i],
		    .accepted = p->made_of[i],
		    .missed = i == POINTS_SHUT ? p->made_of[i] : 0,
		};

		counts_add_service(&counts, points_service_names[i], of);
	}
	for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
		enum points_service service = backends[i].service;
		int64_t made = p->made_of[service];
		struct counts_of of = {.missed = made};

		if (backends[i].is_reached)
			of = (struct counts_of){residents_of[service], made, 0};
		failed += of.missed;
		counts_add_backend(&counts, points_service_names[service],
		    backends[i].name, of);
	}
	counts_add(&counts, POINTS_RESIDENTS, "totals/connections");
	counts_add(&counts, p->made, "totals/accepted");
	counts_add(&counts, p->made_of[POINTS_SHUT], "totals/refused");
	counts_add(&counts, failed, "totals/failed_dials");
	counts_expect(&counts, &p->gateway);
}

/* A scenario's bytes are those of its first run, which was without a death. */
static void
expect_bytes(struct points *p, const struct access_entry *entry)
{
	if (!p->bytes.are_known) {
		p->bytes.are_known = true;
		p->bytes.up = entry->up;
		p->bytes.down = entry->down;
	}
	ck_assert_uint_eq(entry->up, p->bytes.up);
	ck_assert_uint_eq(entry->down, p->bytes.down);
}

static void
expect_log(struct points *p)
{
	struct access_log log;
	size_t ended = (size_t)(p->made - POINTS_RESIDENTS);

	access_log_read(&log, p->access, ended);
	ck_assert_msg(log.count == ended,
	    "%zu lines in the access log of %zu connections", log.count, ended);
	access_log_expect_unique(&log);
	if (ended == p->logged + 1)
		expect_bytes(p, &log.entries[ended - 1]);
	p->logged = ended;
	access_log_free(&log);
}

static void
expect_residents(const struct points *p)
{
	for (int i = 0; i < POINTS_RESIDENTS; i++)
		expect_alive(&p->residents[i]);
}

void
points_expect_sound(struct points *p)
{
	expect_residents(p);
	expect_counts(p);
	census_expect_body(gateway_holder(&p->gateway, 0), POINTS_RESIDENTS,
	    p->most);
	census_expect(&p->census, &p->gateway);
	expect_log(p);
}

void
points_learn(struct points *p)
{
	expect_residents(p);
	census_expect_body(gateway_holder(&p->gateway, 0), POINTS_RESIDENTS,
	    p->most);
	census_learn(&p->census, &p->gateway);
}

void
points_come_and_go(struct points *p)
{
	points_count(p, POINTS_ECHO);
	net_visit_echo(p->single[POINTS_ECHO]);
}

void
points_expect_room(struct points *p)
{
	for (unsigned i = 0; i < 2 * p->most; i++)
		points_come_and_go(p);
	points_expect_sound(p);
}
