/*
 * stream - one checked stream of a load and its two ends.
 *
 * Only load.c, stream.c, end.c, shape.c and abrupt.c include this.
 *
 * Invariants
 *  S1  An end that was closed stays in memory until the turn is over: events
 *      of it may still be in the loop's hands.
 *  S2  The first verdict on a stream stands; its ends are closed with it.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_STREAM_H
#define SRVD_TESTS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "load.h"

#define LOAD_LISTENERS_MAX 8
#define LOAD_GROUPS_MAX    96

/* The first half of every header. */
#define STREAM_MAGIC 0x6d61657274737665ULL

/* What an event's pointer points to begins with one of these. */
enum kind {
	KIND_LISTENER,
	KIND_END,
	KIND_GONE
};

struct listener {
	enum kind kind;
	int fd;
};

struct group {
	struct load_spec spec;
	struct sockaddr_storage target;
	socklen_t length;
	unsigned concurrency;
	unsigned total;
	unsigned opened;
	unsigned running;
	bool stopped;
};

struct stream;

struct end {
	enum kind kind;
	struct load *load;
	struct stream *stream; /* NULL: the header has not yet come */
	int fd;
	bool client;
	bool connecting;
	bool held; /* neither reads nor ends */
	bool eof;  /* the other end's FIN has come */
	bool fin_sent;
	bool is_tcp;
	bool told; /* by its own sending that the other has reset */
	uint64_t sent;
	uint64_t received;
	uint64_t wake_ms; /* paused until then; 0: not */
	uint32_t watched; /* events in epoll; 0: not there */
	uint8_t header[LOAD_HEADER];
	TAILQ_ENTRY(end) link; /* paused, or graveyard */
	LIST_ENTRY(end) all;
};

/* What is known of the reset of a stream, and of whoever did it. */
struct stream_reset {
	bool done;
	bool by_tcp;
	uint64_t at_ms;
	uint64_t sent;
	uint64_t acked; /* of those, by the peer's kernel */
};

struct stream {
	uint64_t id; /* how many were opened before it */
	struct load *load;
	struct group *group;
	struct load_spec spec; /* the group's, or drawn */
	struct end *client;    /* NULL: closed */
	struct end *server;    /* NULL: not yet come, or closed */
	bool server_came;
	bool cut;        /* the gateway was told to close it */
	bool cut_is_due; /* and had it then: it must */
	struct stream_reset reset;
	LIST_ENTRY(stream) all;
};

struct load {
	int epoll_fd;
	struct load_counts counts;
	struct listener listeners[LOAD_LISTENERS_MAX];
	unsigned listeners_count;
	struct group groups[LOAD_GROUPS_MAX];
	unsigned groups_count;
	LIST_HEAD(, stream) streams; /* those without a verdict */
	LIST_HEAD(, stream) gone;    /* those judged unseen by a backend */
	TAILQ_HEAD(, end) paused;
	TAILQ_HEAD(, end) graveyard;
	LIST_HEAD(, end) ends;
};

enum verdict {
	VERDICT_DONE,
	VERDICT_CUT, /* done, though a backend's end of it may still come */
	VERDICT_LOST,
	VERDICT_WRONG
};

/* Connect a new stream of the group. */
void stream_open(struct load *load, struct group *group);
/* Count the verdict and close the ends; the stream is gone (S2). */
void stream_end(struct stream *stream, enum verdict verdict);
/* What it holds at a place, away from the client (up) or towards it: the
 * header, then what no other stream has. */
void stream_bytes(const struct stream *stream, bool up, uint64_t at,
    uint8_t *out, size_t length);
/* The running stream with this id, or NULL. */
struct stream *stream_find(const struct load *load, uint64_t id);
void stream_describe(const struct stream *stream, char *text, size_t size);
/* Judged, and a backend's end of it may still come. */
bool stream_is_gone(const struct load *load, uint64_t id);
/* Keep why if it is among the load's first errors; stream may be NULL. */
void stream_note_error(struct load *load, const struct stream *stream,
    const char *why);

void end_new_client(struct stream *stream);
void end_new_server(struct load *load, int fd);
void end_ready(struct end *end, uint32_t events);
void end_wake(struct end *end);
/* Make epoll watch for what the end now waits for. */
void end_watch(struct end *end);
void end_close(struct end *end);

/* shape.c */

static inline const struct load_spec *
end_spec(const struct end *end)
{
	return &end->stream->spec;
}

/* How many bytes the end sends in all, and how many it may receive. */
uint64_t end_send_total(const struct end *end);
uint64_t end_receive_total(const struct end *end);
/* How far it may have sent by now. */
uint64_t end_send_limit(const struct end *end);
/* Is it in a pause between writes? */
bool end_rests(const struct end *end);
bool end_may_finish(const struct end *end);
bool end_may_reset(const struct end *end);
/* How many of the length bytes to send next go in one call, and its flags. */
size_t end_piece(const struct end *end, size_t length, int *flags);

/* abrupt.c */

/* Is there none, or none that could be known by its header? */
bool stream_server_never_comes(const struct stream *stream);
/* Close it so that its peer gets a reset, as far as there is such a thing. */
void end_reset(struct end *end);
/* May its stream end before all has come? */
bool end_is_excused(const struct end *end);
/* It did, for who is excused: by this errno, or as an end (0).  The end is
 * gone. */
void end_take_break(struct end *end, int error);

#endif
