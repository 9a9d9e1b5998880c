/*
 * kinds - what a random stream is: a shape, sizes, and traits that come
 * together as they like; see soak.h.
 */
#include "soak.h"

#define BITS_MAX 20 /* of a size */

/* All magnitudes are as frequent. */
static uint64_t
draw_size(struct soak *s)
{
	uint64_t magnitude = UINT64_C(1) << soak_choose(s, BITS_MAX);

	return LOAD_HEADER + magnitude + soak_choose(s, (unsigned)magnitude);
}

static void
limit_sizes(struct load_spec *spec, uint64_t most)
{
	if (spec->shape == LOAD_PINGPONG && most < spec->up) {
		most -= most % spec->message;
		most = most == 0 ? spec->message : most;
	}
	if (spec->up > most)
		spec->up = most;
	if (spec->down > most)
		spec->down = most;
}

typedef void trait_fn(struct soak *s, struct load_spec *spec);

static void
read_slowly(struct soak *s, struct load_spec *spec)
{
	spec->read_max = 500 + soak_choose(s, 20000);
	spec->read_pause_ms = 1 + soak_choose(s, 8);
	if (soak_choose(s, 2) == 0)
		spec->receive_buffer = 4096;
	limit_sizes(spec, UINT64_C(100) * spec->read_max);
}

static void
write_crumbs(struct soak *s, struct load_spec *spec)
{
	spec->write_max = 1 + soak_choose(s, 16);
	limit_sizes(spec, UINT64_C(1000) * spec->write_max);
}

static void
pause_often(struct soak *s, struct load_spec *spec)
{
	spec->write_pause_ms = 1 + soak_choose(s, 10);
}

static void
be_urgent(struct soak *s, struct load_spec *spec)
{
	uint64_t most = spec->up > spec->down ? spec->up : spec->down;

	spec->urgent_each = 1 + soak_choose(s, (unsigned)most);
	limit_sizes(spec, UINT64_C(500) * spec->urgent_each + LOAD_HEADER);
}

static void
reset_by_client(struct soak *s, struct load_spec *spec)
{
	spec->resets = LOAD_CLIENT;
	spec->reset_at = soak_choose(s, (unsigned)spec->up);
}

static void
reset_by_server(struct soak *s, struct load_spec *spec)
{
	spec->resets = LOAD_SERVER;
	spec->reset_at = soak_choose(s, (unsigned)spec->down);
}

/* While it is accepted, while its backend is dialed. */
static void
leave_at_once(struct soak *s, struct load_spec *spec)
{
	spec->resets = LOAD_CLIENT;
	spec->reset_at = soak_choose(s, LOAD_HEADER);
}

/* One stream in so many has it.  What limits sizes stands before what depends
 * on them. */
static const struct {
	trait_fn *give;
	unsigned one_in;
} traits[] = {
    {read_slowly, 8},
    {write_crumbs, 8},
    {pause_often, 8},
    {be_urgent, 5},
    {reset_by_client, 8},
    {reset_by_server, 12},
    {leave_at_once, 24},
};

void
soak_draw(struct load_spec *spec, void *arg)
{
	static const enum load_shape shapes[] = {
	    LOAD_BOTH, LOAD_PINGPONG, LOAD_UP_FIRST, LOAD_DOWN_FIRST};
	struct soak *s = arg;

	spec->shape = shapes[soak_choose(s, ARRAY_LEN(shapes))];
	spec->up = draw_size(s);
	spec->down = draw_size(s);
	if (spec->shape == LOAD_PINGPONG) {
		spec->message = LOAD_HEADER + soak_choose(s, 1000);
		spec->up = (uint64_t)spec->message * (1 + soak_choose(s, 100));
		spec->down = spec->up;
	}
	for (unsigned i = 0; i < ARRAY_LEN(traits); i++) {
		if (soak_choose(s, traits[i].one_in) == 0)
			traits[i].give(s, spec);
	}
}
