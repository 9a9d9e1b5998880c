/*
 * control_client - those who have connected; see control_client.h.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/frame.h"
#include "common/log.h"
#include "server/master/control_call.h"
#include "server/master/control_client.h"
#include "server/master/control_methods.h"
#include "server/master/control_peer.h"
#include "server/master/loop.h"
#include "server/master/status.h"

#define REQUEST_MAX (1u << 20)

struct control_client {
	TAILQ_ENTRY(control_client) link;
	struct control_clients *clients;
	struct loop_watch watch;
	struct loop_timer deadline; /* of the peer's next move (N3) */
	struct loop_timer again;    /* more calls may wait in frame (N2) */
	struct control_peer peer;
	struct frame frame;
	struct call call;
	bool call_open;    /* N1 */
	bool ending;       /* to be dropped after the answer */
	size_t sent;       /* of call.answer */
	uint64_t since_ms; /* of the call, the half message, the idleness */
	bool half;         /* since_ms is of a half message */
};

static void
client_close(struct control_client *client)
{
	struct control_clients *clients = client->clients;

	loop_timer_cancel(clients->loop, &client->deadline);
	loop_timer_cancel(clients->loop, &client->again);
	loop_remove(clients->loop, &client->watch);
	TAILQ_REMOVE(&clients->list, client, link);
	clients->count--;
	if (!client->peer.is_privileged)
		clients->ordinary--;
	clients->refused = false;
	(void)close(client->watch.fd);
	frame_release(&client->frame);
	call_release(&client->call);
	free(client);
}

static void
client_drop(struct control_client *client, const char *why)
{
	log_debug("a control client is dropped: %s pid=%d uid=%u", why,
	    (int)client->peer.cred.pid, client->peer.cred.uid);
	client_close(client);
}

static uint64_t
client_now(const struct control_client *client)
{
	return loop_now_ms(client->clients->loop);
}

static void
call_end(struct control_client *client)
{
	call_release(&client->call);
	client->call_open = false;
	client->since_ms = client_now(client);
}

/* Send what the socket takes of the answer. */
static int
client_flush(struct control_client *client)
{
	struct call *call = &client->call;
	ssize_t count;

	while (client->sent < call->answer_length) {
		count = send(client->watch.fd, call->answer + client->sent,
		    call->answer_length - client->sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (count == -1 && errno == EINTR)
			continue;
		if (count == -1)
			return errno == EAGAIN ? 0 : -errno;
		client->sent += (size_t)count;
		client->since_ms = client_now(client);
	}
	if (client->call_open && call->answered) {
		call_end(client);
	} else {
		call_taken(call);
		client->sent = 0;
	}
	return 0;
}

/* A deferred answer is there. */
static void
client_on_wake(struct call *call)
{
	struct control_client *client = call->wake_arg;

	loop_timer_set(client->clients->loop, &client->again, 0);
}

static int
client_run_call(struct control_client *client, const char *text, size_t length)
{
	struct call *call = &client->call;
	int error = call_parse(call, text, length);

	if (error == -EINVAL) {
		client->ending = true;
		call->oneway = false; /* not believed either */
		return call_invalid(call);
	}
	if (error < 0)
		return error;
	call->may_change = client->peer.may_change;
	call->is_root = client->peer.cred.uid == 0;
	call->wake = client_on_wake;
	call->wake_arg = client;
	return control_call(client->clients->m, call);
}

/* Run the next call, if one has come whole: 1, else 0 or -errno. */
static int
client_take_call(struct control_client *client)
{
	char *text = NULL;
	size_t length = 0;
	int got = frame_next(&client->frame, &text, &length);
	int error;

	if (got == 0) {
		if (frame_has_bytes(&client->frame) && !client->half)
			client->since_ms = client_now(client);
		client->half = frame_has_bytes(&client->frame);
		return 0;
	}
	client->half = false;
	client->call_open = true;
	client->sent = 0;
	client->since_ms = client_now(client);
	if (got < 0) {
		client->ending = true;
		client->call = (struct call){.invalid = "message"};
		error = call_invalid(&client->call);
	} else {
		error = client_run_call(client, text, length);
	}
	return error < 0 ? error : 1;
}

/* Is the next part of a stream to be made? */
static bool
client_is_streaming(const struct control_client *client)
{
	return client->call_open && client->call.next != NULL &&
	    client->call.answer == NULL;
}

/* One call or one part of an answer (N2): 1, 0 if none is due, or -errno. */
static int
client_advance(struct control_client *client)
{
	struct call *call = &client->call;
	int error;

	if (!client->call_open)
		return client->ending ? 0 : client_take_call(client);
	if (!client_is_streaming(client))
		return 0;
	client->since_ms = client_now(client);
	error = call->next(call->m, call);
	return error < 0 ? error : 1;
}

/* Say what is waited for now, and for how long at most. */
static int
client_wait(struct control_client *client, bool more)
{
	const struct control_limits *limits = &client->clients->limits;
	struct loop *loop = client->clients->loop;
	bool is_sending = client->call.answer != NULL;
	uint64_t passed_ms = client_now(client) - client->since_ms;
	uint64_t limit_ms = is_sending ? limits->take_ms : limits->half_ms;
	uint32_t events = 0;

	/* A deferred call waits for nothing but the end of its client, of
	 * which epoll tells unasked. */
	if (is_sending)
		events = EPOLLOUT;
	else if (!more && !client->call_open)
		events = EPOLLIN;
	if (client_is_streaming(client) || (more && !client->call_open))
		loop_timer_set(loop, &client->again, 0);
	if (is_sending || client->half)
		loop_timer_set(loop, &client->deadline,
		    passed_ms < limit_ms ? limit_ms - passed_ms : 0);
	else
		loop_timer_cancel(loop, &client->deadline);
	return loop_change(loop, &client->watch, events);
}

/* Go on as far as is possible without waiting; may free client. */
static void
client_step(struct control_client *client)
{
	int more = 0;
	int error = client->call.error;

	if (error == 0)
		error = client_flush(client);
	if (error == 0) {
		more = client_advance(client);
		error = more < 0 ? more : client_flush(client);
	}
	if (error == 0 && client->ending && !client->call_open) {
		client_drop(client, "its message is not a call");
		return;
	}
	if (error == 0)
		error = client_wait(client, more == 1);
	if (error == -ENOMEM)
		log_error("out of memory for a control client pid=%d",
		    (int)client->peer.cred.pid);
	if (error < 0)
		client_close(client);
}

/* Returns 0, or -errno: -EPIPE at the end, -EBADMSG if it was no plain data. */
static int
client_read(struct control_client *client)
{
	struct iovec iov = {.iov_len = 0};
	/* No room for control messages: the kernel closes descriptors that
	 * were passed, without ever making them ours. */
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	char *at = NULL;
	ssize_t count;
	int error = frame_room(&client->frame, &at, &iov.iov_len);

	if (error < 0)
		return error;
	iov.iov_base = at;
	count = recvmsg(client->watch.fd, &msg, MSG_DONTWAIT);
	if (count == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (msg.msg_flags & MSG_CTRUNC)
		return -EBADMSG;
	if (count == 0)
		return -EPIPE;
	frame_added(&client->frame, (size_t)count);
	return 0;
}

static void
client_on_ready(struct loop_watch *watch, uint32_t events)
{
	struct control_client *client = watch->arg;
	int error = 0;

	/* Calls still in the buffer are run even if their caller has gone:
	 * they may be oneway.  That is the timer's work. */
	if (client->again.armed)
		return;
	if (watch->events & EPOLLIN)
		error = client_read(client);
	else if (events & (EPOLLHUP | EPOLLERR))
		error = -EPIPE; /* nobody is left to take an answer */
	if (error == -EBADMSG)
		client_drop(client, "it passed descriptors");
	else if (error < 0)
		client_close(client);
	else
		client_step(client);
}

static void
client_on_again(struct loop_timer *timer)
{
	client_step(timer->arg);
}

static void
client_on_deadline(struct loop_timer *timer)
{
	struct control_client *client = timer->arg;

	client_drop(client,
	    client->call_open ? "it takes no answer"
			      : "it left half a message");
}

static struct control_client *
client_idle_longest(const struct control_clients *clients, bool privileged)
{
	struct control_client *found = NULL;
	struct control_client *client;

	TAILQ_FOREACH(client, &clients->list, link) {
		if (client->call_open ||
		    client->peer.is_privileged != privileged)
			continue;
		if (client_now(client) - client->since_ms <
		    clients->limits.idle_ms)
			continue;
		if (found == NULL || client->since_ms < found->since_ms)
			found = client;
	}
	return found;
}

/*
 * Make sure of a place for one more.  An ordinary client never takes the
 * places kept for the privileged, nor puts one of them out.
 */
static int
place_find(const struct control_clients *clients, bool privileged)
{
	const struct control_limits *limits = &clients->limits;
	struct control_client *victim;

	if (clients->count < limits->clients &&
	    (privileged || clients->ordinary < limits->clients - limits->kept))
		return 0;
	victim = client_idle_longest(clients, false);
	if (victim == NULL && privileged)
		victim = client_idle_longest(clients, true);
	if (victim == NULL)
		return -EUSERS;
	client_drop(victim, "its place is wanted");
	return 0;
}

static int
client_new(struct control_clients *clients, int fd,
    const struct control_peer *peer)
{
	struct control_client *client = calloc(1, sizeof(*client));
	int error;

	if (client == NULL)
		return -ENOMEM;
	client->clients = clients;
	client->peer = *peer;
	client->since_ms = client_now(client);
	frame_init(&client->frame, REQUEST_MAX);
	client->deadline =
	    (struct loop_timer){.due = client_on_deadline, .arg = client};
	client->again =
	    (struct loop_timer){.due = client_on_again, .arg = client};
	client->watch = (struct loop_watch){.fd = fd,
	    .events = EPOLLIN,
	    .ready = client_on_ready,
	    .arg = client};
	error = loop_add(clients->loop, &client->watch);
	if (error < 0) {
		free(client);
		return error;
	}
	TAILQ_INSERT_TAIL(&clients->list, client, link);
	clients->count++;
	if (!peer->is_privileged)
		clients->ordinary++;
	return 0;
}

void
control_clients_admit(struct control_clients *clients, int fd)
{
	struct control_peer peer;
	int error = control_peer_look(fd,
	    master_plan(clients->m)->control.admin.id, &peer);

	if (error == 0)
		error = place_find(clients, peer.is_privileged);
	if (error == 0)
		error = client_new(clients, fd, &peer);
	if (error == 0)
		return;
	(void)close(fd);
	if (!clients->refused)
		log_warn("a control client is refused: %s pid=%d uid=%u "
			 "clients=%u",
		    error == -EUSERS ? "all places are taken"
				     : "it cannot be served",
		    (int)peer.cred.pid, peer.cred.uid, clients->count);
	clients->refused = true;
}

struct call *
control_clients_adopt(struct control_clients *clients, int fd, bool is_last)
{
	struct control_peer peer;
	struct control_client *client;
	int error = control_peer_look(fd,
	    master_plan(clients->m)->control.admin.id, &peer);

	if (error == 0)
		error = client_new(clients, fd, &peer);
	if (error < 0) {
		(void)close(fd);
		return NULL;
	}
	client = TAILQ_LAST(&clients->list, control_clients_list);
	client->call_open = true;
	client->ending = is_last;
	client->call = (struct call){
	    .m = clients->m,
	    .wake = client_on_wake,
	    .wake_arg = client,
	};
	if (client_wait(client, false) == 0)
		return &client->call;
	client_close(client);
	return NULL;
}

int
control_client_fd(const struct call *call, bool *is_last)
{
	const struct control_client *client = call->wake_arg;

	*is_last = frame_has_bytes(&client->frame);
	return client->watch.fd;
}

void
control_clients_init(struct control_clients *clients, struct master *m,
    const struct control_limits *limits)
{
	assert(limits->kept < limits->clients);
	*clients = (struct control_clients){
	    .m = m,
	    .loop = master_loop(m),
	    .limits = *limits,
	};
	TAILQ_INIT(&clients->list);
}

void
control_clients_release(struct control_clients *clients)
{
	struct control_client *client = TAILQ_FIRST(&clients->list);
	struct control_client *next;

	for (; client != NULL; client = next) {
		next = TAILQ_NEXT(client, link);
		/* Somebody may just have answered: a reload that was given
		 * up. */
		(void)client_flush(client);
		client_close(client);
	}
}
