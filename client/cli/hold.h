/* Holding a lock, several, or permits while a command runs: what `lock`, `permit`, `elect` and
 * `register` share. Happy path: acquire (at once, or after a wait), run the command under the lease
 * (run_command.h), release. Failure modes, each a sentence and an exit code: not acquired (75), no
 * server (69), interrupted before it came (128 + N), the command cannot be started (126, 127), the
 * lease was lost and the command stopped (70). */
#ifndef CLIENT_CLI_HOLD_H
#define CLIENT_CLI_HOLD_H

#include "client/include/holdfast_lock.h"

#include "client/cli/args.h"
#include "protocol/limits.h"

enum { HOLD_TITLE_BYTES = NAME_BYTES_MAX + 64 };

/** What to hold; zero it, set what is asked for, then hold_take_names() and hold_run(). */
struct hold {
    const char *what;             /**< "lock": what a name is, for sentences */
    const char *const *names;     /**< borrowed, as all text here */
    int name_count;               /**< of them */
    int mode;                     /**< enum hf_mode */
    uint64_t ttl_ms;              /**< the session's lease */
    uint64_t wait_ms;             /**< for those who hold it; 0 = try once */
    bool patient;                 /**< wait_ms does not count: until it comes */
    uint64_t permits;             /**< HF_PERMITS: so many */
    uint64_t limit;               /**< HF_PERMITS: of so many */
    const char *meta;             /**< shown beside the grant; NULL = the command's name */
    const char *on_revoke;        /**< --on-revoke: "ignore" or "term"; NULL = "ignore" */
    hf_lock *lock;                /**< hold_run()'s: the owner */
    hf_grant grant;               /**< hold_run()'s */
    const char *command;          /**< hold_take_names()'s: for sentences */
    bool told;                    /**< hold_run()'s: that it is asked back */
    char title[HOLD_TITLE_BYTES]; /**< hold_take_names()'s: what it is, for sentences */
};

/** Take 1 to `max` names from the words, each once, and a command behind them; the options have
 * been parsed.
 * \return CLI_OK, or CLI_USAGE after a sentence. */
HF_MUST_USE
int hold_take_names(const struct verb *verb, const struct args *args, int max, struct hold *h);

/** `text` fits beside a grant. \return CLI_OK, or CLI_USAGE after a sentence. */
HF_MUST_USE
int hold_check_meta(const struct verb *verb, const char *option, const char *text);

/** Open the client, acquire, run args->command, release. \return the exit code, after a sentence
 * where it is none of the command's. */
HF_MUST_USE
int hold_run(struct cli *cli, const struct args *args, struct hold *h);

#endif
