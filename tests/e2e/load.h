/*
 * load - many checked streams at once, both ends of each in this process.
 *
 * A stream is one connection to a target, usually a listener of a gateway,
 * behind which stands one of the load's own backends or builtin:echo or
 * builtin:discard.  What either end sends is known byte by byte (e2e_bytes),
 * so that loss, doubling and change are seen where they happen; the first
 * bytes of a connection name the stream, so that the backend's end finds it.
 *
 * One loop, driven by the test with load_turn(): nothing happens between.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_LOAD_H
#define SRVD_TESTS_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"

/* A connection's first bytes: what the load's backends know a stream by. */
#define LOAD_HEADER 16

enum load_shape {
	LOAD_BOTH,       /* both ends send all at once */
	LOAD_PINGPONG,   /* a message there, an answer back, again and again */
	LOAD_UP_FIRST,   /* the backend sends after the client has ended */
	LOAD_DOWN_FIRST, /* the client sends after the backend has ended */
};

enum load_peer {
	PEER_BACKEND,
	PEER_ECHO,
	PEER_DISCARD
};

enum load_end {
	LOAD_NEITHER,
	LOAD_CLIENT,
	LOAD_SERVER
};

struct load_spec;
/* Change what a stream is to be. */
typedef void load_draw_fn(struct load_spec *spec, void *arg);

struct load_spec {
	const char *label; /* for messages */
	enum load_shape shape;
	enum load_peer peer;
	uint64_t up;        /* bytes from the client, LOAD_HEADER at least */
	uint64_t down;      /* bytes from the backend; not for the builtins */
	uint32_t message;   /* LOAD_PINGPONG: bytes a message; divides both */
	uint32_t write_max; /* bytes a write; 0: many */
	uint32_t read_max;  /* bytes read before a pause; 0: no pauses */
	uint32_t read_pause_ms;
	uint32_t receive_buffer; /* of the client's socket; 0: the kernel's */

	uint32_t write_pause_ms; /* after some writes; 0: no pauses */
	uint32_t urgent_each;    /* every so manyth byte from TCP; 0: none is */
	/* This end resets when it has sent so many bytes.  The other gets all
	 * that had left before, and then a reset; where one of the two is no
	 * TCP socket, perhaps an end. */
	enum load_end resets;
	uint64_t reset_at;

	/* Asked for each stream, with a copy of this; or NULL. */
	load_draw_fn *draw;
	void *draw_arg;

	bool hold;  /* clients read nothing until load_release() */
	bool lasts; /* no end ends it: it is for load_cut() */
};

struct load_counts {
	unsigned opened;
	unsigned running;
	unsigned done;  /* every byte arrived, both ends ended as they should */
	unsigned lost;  /* ended too soon, or refused */
	unsigned wrong; /* a byte too many or another one: never excusable */
	uint64_t bytes; /* received, both ends */
	char errors[1200]; /* the first ones */
};

struct load;

struct load *load_new(void);
void load_free(struct load *load);

/* A backend of the load at address; bound gets where it is. */
void load_listen(struct load *load, const char *address,
    char bound[ADDR_TEXT_SIZE]);

/*
 * Keep concurrency streams to target open until total have been opened (0:
 * until load_stop_opening).  *spec is copied, its label is not.
 */
void load_add(struct load *load, const char *target,
    const struct load_spec *spec, unsigned concurrency, unsigned total);
void load_stop_opening(struct load *load);
void load_open_again(struct load *load);

/* Handle what there is to handle, waiting at most timeout_ms for it. */
void load_turn(struct load *load, int timeout_ms);
/* Turn for so long. */
void load_run(struct load *load, int ms);
/* Turn until so many bytes have been received; the test fails after 20 s. */
void load_run_bytes(struct load *load, uint64_t bytes);
/* Turn until no stream is running; those that then are, fail the test. */
void load_finish(struct load *load, int timeout_ms);
/* Turn until streams with this label are done; others may run on. */
void load_finish_labelled(struct load *load, const char *label, int timeout_ms);

/*
 * The gateway is about to be told to close all streams with this label: they
 * may end at any place.  Returns how many are running.
 */
unsigned load_cut(struct load *load, const char *label);
/* Have all ended that had come to their backend by then? */
bool load_is_cut(const struct load *load, const char *label);

/* Let clients read that were held. */
void load_release(struct load *load);

const struct load_counts *load_counts(const struct load *load);
/* None lost, none wrong, some done. */
void load_expect_exact(const struct load *load);

#endif
