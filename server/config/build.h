/*
 * build - a plan while it is being made: rows and strings that grow.
 *
 * Runs in: the configuration's child.
 */
#ifndef SRVD_CONFIG_BUILD_H
#define SRVD_CONFIG_BUILD_H

#include <stdint.h>

#include "common/attr.h"
#include "server/config/config.h"
#include "server/config/key.h"
#include "server/config/memory.h"
#include "server/config/report.h"
#include "server/state/plan.h"

struct build {
	const struct config_request *request;
	struct report *report;
	struct plan head;
	struct bytes strings;
	struct plan_service *services;
	struct plan_listener *listeners;
	struct plan_backend *backends;
	struct place *listener_places;
	struct place *backend_places; /* of their addresses */
	/* Where each key of the top section was given; line 0: nowhere. */
	struct place top_places[SECTION_ITEMS_MAX];
};

void build_init(struct build *build, const struct config_request *request,
    struct report *report);

/* Keep a string in the plan; returns what names it there. */
must_check uint32_t build_string(struct build *build, const char *text);

/* A string kept before. */
const char *build_text(const struct build *build, uint32_t string);

/* A new row at the end, zeroed; a listener's and a backend's belongs to the
 * last service.  Valid until the next one of its kind is added. */
struct plan_service *build_service(struct build *build, const char *name);
struct plan_listener *build_listener(struct build *build, const char *text,
    struct place place);
struct plan_backend *build_backend(struct build *build, const char *name);

/* The place where a key of the top section was given. */
struct place build_top_place(const struct build *build, const char *name);

/* All as a plan's bytes; its tables and length are set by this. */
void build_finish(struct build *build, struct bytes *plan);

#endif
