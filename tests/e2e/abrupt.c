/*
 * abrupt - streams that don't end in order: one end resets, or the gateway was
 * told to close them.
 *
 * Runs in: a test.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "harness.h"
#include "stream.h"

/* A gateway waits 5 s for what came before a reset to be taken, and no
 * longer. */
#define TAKEN_MS 4000

bool
stream_server_never_comes(const struct stream *stream)
{
	const struct load_spec *spec = &stream->spec;

	return spec->peer != PEER_BACKEND ||
	    (spec->resets == LOAD_CLIENT && spec->reset_at < LOAD_HEADER);
}

/* How much of what it sent has left its hands. */
static uint64_t
end_acked(const struct end *end)
{
	int unsent = 0;

	if (!end->is_tcp || ioctl(end->fd, SIOCOUTQ, &unsent) != 0)
		return 0;
	return (uint64_t)unsent < end->sent ? end->sent - (uint64_t)unsent : 0;
}

void
end_reset(struct end *end)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct stream *stream = end->stream;

	stream->reset = (struct stream_reset){
	    .done = true,
	    .by_tcp = end->is_tcp,
	    .at_ms = e2e_now_ms(),
	    .sent = end->sent,
	    .acked = end_acked(end),
	};
	(void)setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	end_close(end);
	if (stream->client == NULL && stream->server == NULL)
		stream_end(stream, VERDICT_DONE);
}

bool
end_is_excused(const struct end *end)
{
	return end->stream != NULL &&
	    (end->stream->reset.done || end->stream->cut);
}

/* What is wrong with this end's view of the other's reset; empty: nothing. */
static void
judge_reset(const struct end *end, int error, char *why, size_t size)
{
	const struct stream_reset *reset = &end->stream->reset;

	why[0] = '\0';
	if (error == 0 && !end->told && end->is_tcp && reset->by_tcp)
		snprintf(why, size, "the other's reset came as an end");
	else if (end->received > reset->sent)
		snprintf(why, size, "more bytes than had been sent");
	else if (end->received < reset->acked &&
	    e2e_now_ms() < reset->at_ms + TAKEN_MS)
		snprintf(why, size,
		    "%" PRIu64 " of %" PRIu64
		    " bytes came that had left before the reset, then %s",
		    end->received, reset->acked,
		    error == 0 ? "an end" : strerror(error));
}

void
end_take_break(struct end *end, int error)
{
	struct stream *stream = end->stream;
	char why[120] = "";

	if (stream->reset.done)
		judge_reset(end, error, why, sizeof why);
	if (why[0] != '\0') {
		stream_note_error(end->load, stream, why);
		stream_end(stream, VERDICT_WRONG);
		return;
	}
	end_close(end);
	if (stream->client != NULL || stream->server != NULL)
		return;
	/* One that was cut before the backend's end came may still come. */
	stream_end(stream,
	    stream->server_came || stream_server_never_comes(stream)
		? VERDICT_DONE
		: VERDICT_CUT);
}

/* Cutting */

unsigned
load_cut(struct load *load, const char *label)
{
	struct stream *stream;
	unsigned count = 0;

	LIST_FOREACH(stream, &load->streams, all) {
		if (strcmp(stream->group->spec.label, label) != 0)
			continue;
		stream->cut = true;
		stream->cut_is_due = stream->server_came;
		count++;
	}
	return count;
}

bool
load_is_cut(const struct load *load, const char *label)
{
	const struct stream *stream;

	LIST_FOREACH(stream, &load->streams, all) {
		if (stream->cut_is_due &&
		    strcmp(stream->group->spec.label, label) == 0)
			return false;
	}
	return true;
}
