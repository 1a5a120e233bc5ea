/* How a run fails: what, when, and the command that repeats it, then exit code 1. A failed
 * assertion or a signal in the code under test says the same before it ends the process. One run
 * at a time in a process. */
#ifndef TESTS_SIM_FAILURE_H
#define TESTS_SIM_FAILURE_H

#include <stdint.h>

struct sim_options;
struct trace;

/** A run begins. \param options, trace  borrowed until the next one. */
void failure_begin(const struct sim_options *options, const struct trace *trace);

/** It is over, and its trace goes; its options stay for claims about its result. */
void failure_end(void);

/** A claim does not hold. */
_Noreturn void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Catch the signals of crashes, and of an end from outside; once. */
void failure_catch_signals(void);

#endif
