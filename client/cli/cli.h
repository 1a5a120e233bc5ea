/* What the command line's files share: exit codes, the verbs, and how a failure is told. A verb is
 * one struct with its help text beside its code; main.c has the table of them. A verb gets its
 * arguments and a cli with the global settings, does its work and returns the exit code. Every
 * failure is one sentence on standard error: what happened, to what, and what to do about it. */
#ifndef CLIENT_CLI_CLI_H
#define CLIENT_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "client/include/holdfast.h"

#include "base/assert.h"

/** Exit codes; `holdfast help` documents them. `lock` and `once` end with their command's own code
 * where it has one. */
enum cli_exit {
    CLI_OK = 0,
    CLI_USAGE = 64,       /**< the arguments make no sense; nothing was done */
    CLI_MISMATCH = 65,    /**< another fingerprint or token is stored; nothing was done */
    CLI_ABSENT = 66,      /**< nothing is stored under that name, or no longer */
    CLI_UNKNOWN = 69,     /**< UNKNOWN, or no server answered */
    CLI_LOST = 70,        /**< the lease was lost: the command was stopped, or came too late */
    CLI_SYSTEM = 71,      /**< this machine refused: memory, processes, pipes */
    CLI_CUT = 74,         /**< success, but only the first 64 KiB of its output are stored */
    CLI_TRY_AGAIN = 75,   /**< not acquired, still running, busy */
    CLI_REFUSED = 76,     /**< the server does not understand or accept this request */
    CLI_CANNOT_RUN = 126, /**< the command is no program */
    CLI_NO_COMMAND = 127, /**< there is no such command */
};

/** One invocation's settings. */
struct cli {
    const char *servers; /**< --servers, else HOLDFAST_SERVERS, else the default; borrowed */
    bool json;           /**< --json: for programs */
    bool stale;          /**< --stale: any server may answer what only looks */
    uint64_t timeout_ms; /**< --timeout: for a call beyond its wait; 0 = the verb's default */
    const struct secrets_file *secrets; /**< for cli_open(), by secrets_open(); else NULL */
    void (*asked_cb)(hf_client *client, const hf_asked *asked, void *data); /**< likewise, of
                                                                       hf_options; else NULL */
    hf_client *client; /**< opened by cli_open(), closed by main(); NULL before */
};

/** One verb of the command line. */
struct verb {
    const char *name;     /**< as typed */
    const char *synopsis; /**< its arguments, one line */
    const char *summary;  /**< one phrase for the list of verbs */
    const char *help;     /**< the rest of `holdfast VERB --help`; ends with a line end */
    int (*run)(struct cli *cli, const struct verb *verb, int argc, char **argv); /**< the work */
};

extern const struct verb verb_status, verb_locks, verb_records, verb_record, verb_resolve,
    verb_reopen, verb_erase, verb_derive, verb_export, verb_sessions, verb_lock, verb_permit,
    verb_once, verb_bench, verb_config, verb_audit, verb_freeze, verb_thaw, verb_frozen, verb_force,
    verb_elect, verb_register, verb_discover, verb_revoke, verb_timer, verb_branches, verb_branch,
    verb_watch, verb_events;

/** Open the client. \param ttl_ms  the session's lease, once one is needed; 0 = the default.
 * \param timeout_ms  for a call without --timeout; 0 = the default. \param lost_cb  as in
 * hf_options; may be NULL. \return CLI_OK, or the exit code after a sentence on standard error. */
HF_MUST_USE
int cli_open(struct cli *cli, uint64_t ttl_ms, uint64_t timeout_ms,
             void (*lost_cb)(hf_client *client, const hf_loss *loss, void *data));

/** Print "holdfast: SENTENCE." on standard error and return `exit_code`. */
HF_MUST_USE
int cli_fail(int exit_code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Print a sentence that is no failure of its own. */
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Tell that a request to the servers failed: `what` could not be done ("list the locks"), why,
 * and what to do. \return the exit code of that status. */
HF_MUST_USE
int cli_fail_status(const struct cli *cli, int status, const char *what);

/** A status that passes by itself: whoever watches asks again. */
bool cli_is_weather(int status);

enum { SHELL_WORD_BYTES = 1024 }; /* a name of single quotes alone fits */

/** `text` as one word of a shell, quoted where it has to be. \param out  SHELL_WORD_BYTES.
 * \return `out`. */
const char *text_for_shell(const char *text, char *out);

/** An errno as a sentence's end, static or of this thread. */
const char *text_of_errno(int error);

#endif
