/* The steps of `once` that talk to servers, each repeated as long as repeating is safe and useful:
 * a server that is killed and comes back is no failure of the command. */
#ifndef CLIENT_CLI_ONCE_H
#define CLIENT_CLI_ONCE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/cli/cli.h"

/** What was asked for on the command line. */
struct once {
    const char *key;         /**< the record's; borrowed, as all strings here */
    const char *fingerprint; /**< its text */
    char *const *command;    /**< NULL-terminated */
    uint64_t retain_ms;      /**< keep the result so long */
    uint64_t wait_ms;        /**< for another process that runs it */
    uint64_t ttl_ms;         /**< the lease */
    const char *step;        /**< derive a key for it; NULL = none */
    const char *secrets;     /**< file, or NULL */
    bool rerun;              /**< the command may run again */
    bool retry_on_failure;   /**< an exit code other than 0 is not stored */
};

/** Begin the key, waiting for whoever runs it. Gives up when no server could be reached for the
 * client's timeout_ms, or at a signal (interrupt.h). \param record  Out; owned: hf_record_free()
 * it. \retval as hf_record_begin(), but never HF_EUNKNOWN, HF_ESESSION or HF_ELOST. */
HF_MUST_USE
int once_begin(hf_client *client, const struct once *o, hf_record **record);

/** Say that the command starts now: from here on nobody else may start it. Returns when a server
 * has answered, however long it takes.
 * \retval HF_ESTALE, HF_ELOST the attempt is no longer ours. \retval others it was refused. */
HF_MUST_USE
int once_mark(hf_record *record, uint64_t number);

/** Finish the attempt, however long it takes until a server answers; tells people once that it
 * waits. \param result  NULL for a result that stores nothing.
 * \retval HF_OK it stands. \retval HF_ESTALE, HF_ECONFLICT another result stands. \retval others
 * it will not be accepted. */
HF_MUST_USE
int once_complete(hf_record *record, int outcome, const hf_result *result);

#endif
