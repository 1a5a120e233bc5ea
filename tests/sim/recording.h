/* The history of a simulation as a file of lines (docs/history-format.md), for a checker that knows
 * nothing of the simulation: what the clients' cores record, in true time, and what the guarded
 * registers were asked. Of locks that may be shared out in permits, or be asked for with others,
 * only
 * the registers are written, and of records that may be reopened nothing. Recording draws no number
 * and moves no event: the digest is the same. */
#ifndef TESTS_SIM_RECORDING_H
#define TESTS_SIM_RECORDING_H

#include <stdio.h>

#include "client/core_recorder.h"

struct sim;
struct sim_task;

struct recording {
    FILE *file;                /* NULL = nothing is recorded */
    const char *path;          /* its, for people */
    struct recorder_sink sink; /* what the cores write to */
};

/** Begin. \param path  borrowed until the run ends; NULL = nothing is recorded. The file is made
 * anew. A failure ends the run, here and later. */
void recording_open(struct sim *sim, const char *path);

/** End it; the file is whole. */
void recording_close(struct recording *r);

/** The sink for a client's core, or NULL. */
struct recorder_sink *recording_sink(struct sim *sim);

/** The task's token wrote `value` to the register of a lock of its, or was refused. */
void recording_wrote(const struct sim_task *t, uint32_t lock, uint64_t value, bool accepted);

/** The task read the register of a lock of its. */
void recording_read(const struct sim_task *t, uint32_t lock, uint64_t value);

#endif
