/*
 * The real program's main, with the hostile worker in the worker's place.
 */
#include "server/worker/worker.h"
#include "tests/e2e/hostile/hostile.h"

#define worker_main hostile_main
#include "server/main.c"
