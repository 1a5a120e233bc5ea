/* A store on disk in a folder of its own, for the length of a measurement. */
#ifndef TESTS_BENCH_SCRATCH_H
#define TESTS_BENCH_SCRATCH_H

struct scratch {
    char folder[256];    /**< temporary, below TMPDIR or /tmp */
    struct store *store; /**< owned */
};

/** Make folder and store; ends the program on failure. */
void scratch_open(struct scratch *s);

/** Close the store and remove the folder. */
void scratch_close(struct scratch *s);

#endif
