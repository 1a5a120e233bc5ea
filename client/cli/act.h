/* What every act of an administrator wants: why, and who decides; and that an act whose outcome is
 * not known is asked again under its number. */
#ifndef CLIENT_CLI_ACT_H
#define CLIENT_CLI_ACT_H

#include "client/cli/cli.h"

struct act {
    const char *reason;        /**< --reason, or NULL */
    const char *operator_name; /**< --operator, or NULL */
};

/** Refuse unless both are given and within their limits.
 * \return CLI_OK, or CLI_USAGE after a sentence. */
HF_MUST_USE
int act_check(const struct verb *verb, const struct act *act);

/** Of an act against a grant: refuse a reason of less than FORCE_REASON_BYTES_MIN bytes. */
HF_MUST_USE
int act_check_reason(const struct verb *verb, const struct act *act);

/** Tell that an act against the grant of `name` under `token` failed. \param what  that could not
 * be done, as cli_fail_status()'s. \return the exit code. */
HF_MUST_USE
int act_fail_grant(const struct cli *cli, int status, const char *what, const char *name,
                   uint64_t token);

/** Ask again while it is not known whether it was done, a few times.
 * \param status  of the first call. \return the last one's. */
HF_MUST_USE
int act_insist(int status, hf_request *request);

#endif
