/* `holdfast-jepsen run`: what it is told, and the codes that it ends with. */
#ifndef JEPSEN_RUN_RUN_H
#define JEPSEN_RUN_RUN_H

#include <stdbool.h>
#include <stdint.h>

enum {
    RUN_PATH_BYTES = 512,
    RUN_SERVERS_MAX = 5,
    RUN_CLIENTS_MAX = 8,
    RUN_SENTENCE_BYTES = 1024,
};

/** Exit codes. */
enum {
    RUN_GOOD = 0,         /**< nothing wrong was seen, which is no proof that nothing is */
    RUN_VIOLATED = 1,     /**< a claim of the product does not hold: the sentence says which */
    RUN_UNDECIDED = 3,    /**< the checker found no verdict in time */
    RUN_THIN = 4,         /**< too few operations before the first fault: it proves nothing */
    RUN_USAGE = 64,       /**< wrong settings */
    RUN_IO = 74,          /**< the run itself failed, not the product */
    RUN_CANNOT_HERE = 77, /**< no namespaces, no nft, ...: ctest takes it as skipped */
    RUN_STOPPED = 128,    /**< + the signal that stopped it */
};

struct plan {
    const struct workload *workload; /**< what clients do */
    unsigned nemeses;                /**< bit i: the i-th of the table of nemeses */
    unsigned servers;                /**< 3 or 5 */
    unsigned clients;                /**< processes, 1 to RUN_CLIENTS_MAX */
    uint64_t seed;                   /**< everything that is drawn follows from it */
    uint64_t seconds;                /**< of faults, 1 to 86,400 */
    char out[RUN_PATH_BYTES];        /**< the folder; absolute */
    char daemon[RUN_PATH_BYTES];     /**< holdfastd */
    bool help;                       /**< print the help and no more */
};

/** Read arguments. \param sentence  Out: room for RUN_SENTENCE_BYTES.
 * \return false: the sentence says what is wrong. */
bool plan_read(struct plan *plan, int argc, char **argv, char *sentence);

/** The command that repeats a plan, one line. \param text  Out: room for RUN_SENTENCE_BYTES. */
void plan_command(const struct plan *plan, char *text);

/** The text of --help. Static. */
const char *plan_help(void);

/** The sub-command; may be called once. \return its exit code. */
int run_main(int argc, char **argv);

#endif
