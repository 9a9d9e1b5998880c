/*
 * signals - a process begins with none ignored, caught or blocked; signals.h.
 */
#include <signal.h>

#include "common/signals.h"

void
signals_reset(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &action, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}
