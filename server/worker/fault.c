/*
 * fault - a worker's last words; see fault.h.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/attr.h"
#include "server/worker/fault.h"

static struct body_head *fault_head;
static char fault_stack[16384];

static void
on_fault(int sig, siginfo_t *info, void *context)
{
	struct body_fault *fault = &fault_head->fault;

	(void)context;
	fault->journal = atomic_load(&fault_head->journal);
	/* Of a signal that was sent (by its code) it is the sender's number. */
	fault->address = (uint64_t)(uintptr_t)info->si_addr;
	fault->code = info->si_code;
	fault->signal = (uint32_t)sig;
	/* The action is the default one again (SA_RESETHAND): a fault comes
	 * back by itself, a signal that was sent is sent once more. */
	if (info->si_code <= 0)
		(void)syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig);
}

void
fault_install(struct body_head *head)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
	stack_t stack = {
	    .ss_sp = fault_stack,
	    .ss_size = sizeof(fault_stack),
	};
	struct sigaction action = {
	    .sa_sigaction = on_fault,
	    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND,
	};

	fault_head = head;
	(void)sigaltstack(&stack, NULL);
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)sigaction(signals[i], &action, NULL);
}
