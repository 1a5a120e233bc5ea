/* See act.h. */
#include "client/cli/act.h"

#include <inttypes.h>
#include <string.h>

#include "client/cli/args.h"
#include "protocol/limits.h"

enum { TRIES_MAX = 3 };

static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

int act_check(const struct verb *verb, const struct act *act)
{
    const char *problem = NULL;
    char usage[ARGS_USAGE_BYTES];
    if (!is_given(act->reason)) problem = "it lacks --reason TEXT";
    if (!is_given(act->operator_name)) problem = "it lacks --operator NAME";
    if (problem == NULL && strlen(act->reason) > EVIDENCE_BYTES_MAX) {
        problem = "--reason holds at most 1,024 bytes: shorten it, or name where it stands";
    }
    if (problem == NULL && strlen(act->operator_name) > NAME_BYTES_MAX) {
        problem = "--operator holds at most 255 bytes";
    }
    if (problem == NULL) return CLI_OK;
    return cli_fail(CLI_USAGE, "`%s` changes nothing yet: %s; use: %s", verb->name, problem,
                    args_usage(verb, usage));
}

int act_check_reason(const struct verb *verb, const struct act *act)
{
    if (strlen(act->reason) >= FORCE_REASON_BYTES_MIN) return CLI_OK;
    return cli_fail(CLI_USAGE,
                    "`%s` changes nothing yet: --reason wants 8 bytes at least; say "
                    "why in words that another can follow",
                    verb->name);
}

int act_fail_grant(const struct cli *cli, int status, const char *what, const char *name,
                   uint64_t token)
{
    char word[SHELL_WORD_BYTES];
    if (status != HF_ESTALE && status != HF_EBADREQUEST) return cli_fail_status(cli, status, what);
    return cli_fail(CLI_MISMATCH,
                    "nobody holds \"%s\" under token %" PRIu64 ", so nothing was changed; look at "
                    "it with `holdfast locks %s --queue` and decide again",
                    name, token, text_for_shell(name, word));
}

int act_insist(int status, hf_request *request)
{
    for (int again = 0; status == HF_EUNKNOWN && again < TRIES_MAX; again++) {
        status = hf_request_retry(request);
    }
    return status;
}
