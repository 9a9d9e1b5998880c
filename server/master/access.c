/*
 * access - the access log's way from the bodies to its target; see access.h.
 */
#include <string.h>

#include "common/log.h"
#include "server/master/access.h"
#include "server/master/logger.h"
#include "server/master/master.h"

/* Many lines in one write: they are waited for this long; less where a round
 * has left some. */
#define GATHER_MS 20
#define REST_MS   5

/* No line of a worker is shorter: what they cost is bounded by it (A2). */
#define LINE_MIN 100

/* What is copied and written at once, and how often a round and body (A2). */
#define CHUNK_SIZE     (64u << 10)
#define CHUNKS_A_ROUND 2

/* A ring that has its whole length waiting is empty after so many. */
#define CHUNKS_AT_END (BODY_ACCESS_SIZE / (CHUNK_SIZE - BODY_ACCESS_LINE) + 1)

static _Atomic uint64_t *
tail_of(const struct body_ref *ref)
{
	return &ref->master->board_head->access_tail[ref->row];
}

void
access_begin(const struct body_ref *ref)
{
	atomic_store(tail_of(ref), 0);
	board_set_unread(ref->master->board_head, ref->row, false);
}

static bool
is_readable(const struct body_ref *ref)
{
	return !board_is_unread(ref->master->board_head, ref->row);
}

void
access_give_up(const struct body_ref *ref)
{
	board_set_unread(ref->master->board_head, ref->row, true);
}

/* So many bytes from a place of the ring. */
static void
copy_from_ring(const struct body_ref *ref, uint64_t at, char *text,
    size_t length)
{
	const char *ring = ref->body.head->access;
	size_t place = at % BODY_ACCESS_SIZE;
	size_t first = BODY_ACCESS_SIZE - place;

	if (first > length)
		first = length;
	memcpy(text, ring + place, first);
	memcpy(text + first, ring, length - first);
}

/* Is it a line as workers write them?  What is not printable is made so. */
static bool
check_line(char *line, size_t length)
{
	if (length < LINE_MIN || length > BODY_ACCESS_LINE)
		return false;
	line[length - 1] = '\0';
	(void)log_printable(line);
	/* A NUL in it ends what log_printable() has seen. */
	if (strlen(line) != length - 1)
		return false;
	line[length - 1] = '\n';
	return true;
}

/* Close the gaps that wrong lines leave.  Returns the length of the good
 * ones; *used is that of all whole lines. */
static size_t
check_lines(char *text, size_t length, size_t *used)
{
	size_t good = 0;

	*used = 0;
	while (*used < length) {
		char *line = text + *used;
		const char *newline = memchr(line, '\n', length - *used);
		size_t bytes;

		if (newline == NULL)
			break;
		bytes = (size_t)(newline + 1 - line);
		*used += bytes;
		if (!check_line(line, bytes)) {
			logger_add_dropped(1);
			continue;
		}
		memmove(text + good, line, bytes);
		good += bytes;
	}
	return good;
}

/* What waits in a ring, at most a chunk of it. */
struct chunk {
	uint64_t from;
	size_t length;
	char text[CHUNK_SIZE];
};

/* False if nothing waits. */
static bool
read_chunk(const struct body_ref *ref, struct chunk *chunk)
{
	_Atomic uint64_t *tail = tail_of(ref);
	uint64_t head = atomic_load(&ref->body.head->access_head);
	uint64_t waits;

	chunk->from = atomic_load(tail);
	waits = head - chunk->from;
	if (waits > BODY_ACCESS_SIZE) {
		/* No such head can be: begin anew from there. */
		logger_add_dropped(1);
		atomic_store(tail, head);
		return false;
	}
	chunk->length = waits < CHUNK_SIZE ? (size_t)waits : CHUNK_SIZE;
	copy_from_ring(ref, chunk->from, chunk->text, chunk->length);
	return chunk->length > 0;
}

/* Take what waits, at most a chunk.  False if nothing is left. */
static bool
take_chunk(const struct body_ref *ref)
{
	static struct chunk chunk;
	size_t good;
	size_t used;

	if (!read_chunk(ref, &chunk))
		return false;
	good = check_lines(chunk.text, chunk.length, &used);
	if (good > 0)
		logger_access_write(chunk.text, good);
	/* No line is as long as a chunk, and the last one is whole. */
	if (used == 0 || (used < chunk.length && chunk.length < CHUNK_SIZE)) {
		logger_add_dropped(1);
		used = chunk.length;
	}
	/* The worker tells of the next line if it sees this first (it asks
	 * after it has stored its head). */
	atomic_store(tail_of(ref), chunk.from + used);
	return true;
}

/*
 * A master notes what it has taken right after it has written it, and wrote it
 * last, so a file that another one has left says whether it died in between:
 * the ring's first lines are then the file's last ones.  A chunk begins where
 * that one's did, so it holds all of them.  Where lines were wrong (A1) places
 * in the ring and in the file differ, and nothing is looked for.
 */
void
access_resume(const struct body_ref *ref)
{
	static struct chunk chunk;
	size_t good;
	size_t used;

	if (!is_readable(ref) || !read_chunk(ref, &chunk))
		return;
	good = check_lines(chunk.text, chunk.length, &used);
	if (good == used)
		atomic_store(tail_of(ref),
		    chunk.from + logger_access_written(chunk.text, good));
}

static bool
take(const struct body_ref *ref, unsigned chunks)
{
	while (chunks > 0 && is_readable(ref) && take_chunk(ref))
		chunks--;
	return chunks == 0;
}

static void
on_gathered(struct loop_timer *timer)
{
	struct body_ref *ref = timer->arg;

	if (ref->body_fd >= 0 && take(ref, CHUNKS_A_ROUND))
		loop_timer_set(ref->master->loop, timer, REST_MS);
}

void
access_wake(struct body_ref *ref)
{
	ref->access_timer.due = on_gathered;
	ref->access_timer.arg = ref;
	if (!ref->access_timer.armed)
		loop_timer_set(ref->master->loop, &ref->access_timer,
		    GATHER_MS);
}

void
access_check(struct body_ref *ref)
{
	if (is_readable(ref) &&
	    atomic_load(&ref->body.head->access_head) !=
		atomic_load(tail_of(ref)))
		access_wake(ref);
}

void
access_take_all(const struct body_ref *ref)
{
	(void)take(ref, CHUNKS_AT_END);
}
