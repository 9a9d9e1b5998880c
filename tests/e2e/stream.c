/*
 * stream - one checked stream of a load; see stream.h.
 */
#include "stream.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define SEED_DOWN 0x8000000000000000ULL

/* What was drawn; empty: nothing was. */
static void
describe_spec(const struct load_spec *spec, char *text, size_t size)
{
	static const char *const resets[] = {
	    "no reset", "client resets", "server resets"};

	text[0] = '\0';
	if (spec->draw == NULL)
		return;
	snprintf(text, size,
	    " (shape %d, message %u, write %u/%u ms, read %u/%u ms, buffer %u, "
	    "urgent %u, %s at %llu)",
	    (int)spec->shape, spec->message, spec->write_max,
	    spec->write_pause_ms, spec->read_max, spec->read_pause_ms,
	    spec->receive_buffer, spec->urgent_each, resets[spec->resets],
	    (unsigned long long)spec->reset_at);
}

void
stream_describe(const struct stream *stream, char *text, size_t size)
{
	const struct end *c = stream->client;
	const struct end *s = stream->server;
	char client[80] = "client closed";
	char server[80] = "";
	char drawn[160];

	describe_spec(&stream->spec, drawn, sizeof drawn);
	if (c != NULL)
		snprintf(client, sizeof client, "client sent %llu%s got %llu%s",
		    (unsigned long long)c->sent, c->fin_sent ? "+FIN" : "",
		    (unsigned long long)c->received, c->eof ? "+FIN" : "");
	if (s != NULL)
		snprintf(server, sizeof server,
		    ", server sent %llu%s got %llu%s",
		    (unsigned long long)s->sent, s->fin_sent ? "+FIN" : "",
		    (unsigned long long)s->received, s->eof ? "+FIN" : "");
	else if (stream->spec.peer == PEER_BACKEND)
		snprintf(server, sizeof server, ", server %s",
		    stream->server_came ? "closed" : "never came");
	snprintf(text, size, "%s %s %llu of %llu/%llu bytes%s: %s%s",
	    stream->group->target.ss_family == AF_UNIX ? "unix" : "tcp",
	    stream->spec.label, (unsigned long long)stream->id,
	    (unsigned long long)stream->spec.up,
	    (unsigned long long)stream->spec.down, drawn, client, server);
}

void
stream_note_error(struct load *load, const struct stream *stream,
    const char *why)
{
	char state[400] = "a connection to the backend";
	size_t length = strlen(load->counts.errors);

	if (length + 1 >= sizeof load->counts.errors)
		return;
	if (stream != NULL)
		stream_describe(stream, state, sizeof state);
	snprintf(load->counts.errors + length,
	    sizeof load->counts.errors - length, "%s%s: %s",
	    length == 0 ? "" : "; ", state, why);
}

void
stream_end(struct stream *stream, enum verdict verdict)
{
	struct load *load = stream->load;
	struct load_counts *counts = &load->counts;

	switch (verdict) {
	case VERDICT_DONE:
	case VERDICT_CUT:
		counts->done++;
		break;
	case VERDICT_LOST:
		counts->lost++;
		break;
	case VERDICT_WRONG:
		counts->wrong++;
		break;
	}
	counts->running--;
	stream->group->running--;
	if (stream->client != NULL)
		end_close(stream->client);
	if (stream->server != NULL)
		end_close(stream->server);
	LIST_REMOVE(stream, all);
	if (verdict == VERDICT_LOST || verdict == VERDICT_CUT)
		LIST_INSERT_HEAD(&load->gone, stream, all);
	else
		free(stream);
}

/* What the stream holds at a place, in the direction away from the client or
 * towards it: the header, then what no other stream has. */
void
stream_bytes(const struct stream *stream, bool up, uint64_t at, uint8_t *out,
    size_t length)
{
	uint64_t header[2] = {STREAM_MAGIC, stream->id};
	uint64_t seed = stream->id;
	size_t n;

	if (!up && stream->spec.peer == PEER_BACKEND)
		seed |= SEED_DOWN;
	else if (at < LOAD_HEADER) {
		n = LOAD_HEADER - at < length ? LOAD_HEADER - at : length;
		memcpy(out, (const uint8_t *)header + at, n);
		out += n;
		at += n;
		length -= n;
	}
	e2e_bytes(seed, at, out, length);
}

struct stream *
stream_find(const struct load *load, uint64_t id)
{
	struct stream *stream;

	LIST_FOREACH(stream, &load->streams, all) {
		if (stream->id == id)
			return stream;
	}
	return NULL;
}

bool
stream_is_gone(const struct load *load, uint64_t id)
{
	const struct stream *stream;

	LIST_FOREACH(stream, &load->gone, all) {
		if (stream->id == id)
			return true;
	}
	return false;
}

static void
stream_draw(struct stream *stream)
{
	struct load_spec *spec = &stream->spec;

	*spec = stream->group->spec;
	if (spec->draw != NULL)
		spec->draw(spec, spec->draw_arg);
	ck_assert_uint_ge(spec->up, LOAD_HEADER);
	if (spec->peer == PEER_ECHO)
		spec->down = spec->up;
	if (spec->peer == PEER_DISCARD)
		spec->down = 0;
}

static struct stream *
stream_new(struct load *load, struct group *group)
{
	struct stream *stream = calloc(1, sizeof *stream);

	ck_assert_ptr_nonnull(stream);
	stream->id = load->counts.opened;
	stream->load = load;
	stream->group = group;
	stream_draw(stream);
	LIST_INSERT_HEAD(&load->streams, stream, all);
	load->counts.opened++;
	load->counts.running++;
	group->opened++;
	group->running++;
	return stream;
}

void
stream_open(struct load *load, struct group *group)
{
	end_new_client(stream_new(load, group));
}
