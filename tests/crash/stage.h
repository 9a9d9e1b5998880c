/*
 * stage - a gateway with two workers, and connections of every kind that are
 * handed over from one to the other: at something (moved.h), streaming, idle.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_STAGE_H
#define SRVD_TESTS_STAGE_H

#include <stdint.h>

#include "census.h"
#include "gateway.h"
#include "load.h"
#include "moved.h"
#include "pair.h"

/* Each by four pairs of sides. */
#define STAGE_MOVED   (4U * MOVED_BEHAVIOURS)
#define STAGE_STREAMS 6U
/* Half of them are some batches of a hand-over (server/worker/give.h). */
#define STAGE_IDLE 100U
#define STAGE_ALL  (STAGE_MOVED + STAGE_STREAMS + STAGE_IDLE)

enum stage_service {
	STAGE_TCP = SIDE_TCP,
	STAGE_UNIX = SIDE_UNIX,
	STAGE_STREAM,
	STAGE_ECHO,
	STAGE_SERVICES
};

struct stage {
	struct gateway gateway;
	struct load *load;
	char access[E2E_PATH_SIZE];
	char address[2][2][ADDR_TEXT_SIZE]; /* [client's][backend's side] */
	char streams[ADDR_TEXT_SIZE];
	char bound[3][ADDR_TEXT_SIZE];
	char echo[2][ADDR_TEXT_SIZE];
	int listen_fd[2];
	struct moved moved[STAGE_MOVED];
	int idle[STAGE_IDLE];
	int64_t made_of[STAGE_SERVICES];
	struct census census; /* of one worker without connections */
};

/* There are two workers then. */
void stage_begin(struct stage *s);
void stage_stop(struct stage *s);

/* Open STAGE_ALL connections, the idle ones evenly over the workers.  None ends
 * before load_release(): streams are half way through then. */
void stage_open(struct stage *s);
/* Wait until a body has no connection and nothing of any is left in it. */
void stage_expect_empty(const struct stage *s, unsigned index);

/* Call a method; the caller releases the reply.  The streams go on as long. */
json_t *stage_call(struct stage *s, const char *method);
/* Reload with another number of workers, and wait until there are so many. */
void stage_set_workers(struct stage *s, unsigned workers);

/* Streams have been exact, and whatever else was opened goes on and ends. */
void stage_end_all(struct stage *s);
/* With one worker, and all ended: nothing is left of it, and all counts are
 * exact. */
void stage_expect_sound(struct stage *s);

#endif
