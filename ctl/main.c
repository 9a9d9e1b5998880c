/*
 * main - srvctl: look at and steer a running srvd.
 */
#include <locale.h>

#include "ctl/command.h"

int
main(int argc, char **argv)
{
	/* For the terminal's character set; numbers stay as they are. */
	(void)setlocale(LC_CTYPE, "");
	return command_run(argc, argv);
}
