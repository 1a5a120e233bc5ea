/* resolve: decide an UNKNOWN record after having asked whoever would know. The token ties the
 * decision to the attempt that the operator looked at: a newer attempt is not touched by it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/args.h"
#include "client/cli/words.h"

enum { DONE_CODE = 0, FAILED_CODE = 1 }; /* without --code */

#define CODE_NOT_GIVEN UINT64_MAX

struct decision {
    bool done;                 /* --done */
    bool failed;               /* --failed */
    bool retryable;            /* --retryable */
    uint64_t token;            /* --token; 0 = not given */
    uint64_t code;             /* --code, or CODE_NOT_GIVEN */
    const char *body;          /* --body, or NULL */
    const char *evidence;      /* --evidence, or NULL */
    const char *operator_name; /* --operator, or NULL */
};

/* What is missing of what every decision needs, in the order of the synopsis. */
static int tell_missing(const struct verb *verb, const struct decision *d)
{
    const bool has_evidence = d->evidence != NULL && d->evidence[0] != '\0';
    const bool has_operator = d->operator_name != NULL && d->operator_name[0] != '\0';
    const bool has_outcome = d->done || d->failed || d->retryable;
    char usage[ARGS_USAGE_BYTES];
    if (d->token != 0 && has_outcome && has_evidence && has_operator) return CLI_OK;
    return cli_fail(CLI_USAGE, "`resolve` decides nothing yet, it lacks:%s%s%s%s; use: %s",
                    d->token != 0 ? "" : " --token T",
                    has_outcome ? "" : " --done|--failed|--retryable",
                    has_evidence ? "" : " --evidence TEXT", has_operator ? "" : " --operator NAME",
                    args_usage(verb, usage));
}

static int check(const struct verb *verb, const struct decision *d)
{
    const char *problem = NULL;
    char usage[ARGS_USAGE_BYTES];
    int rv = tell_missing(verb, d);
    if (rv != CLI_OK) return rv;
    if (d->done + d->failed + d->retryable > 1) {
        problem = "exactly one of --done, --failed and --retryable says what it became";
    }
    if (d->retryable && (d->body != NULL || d->code != CODE_NOT_GIVEN)) {
        problem = "--retryable stores no result; leave --code and --body away";
    }
    if (d->failed && d->code == 0) {
        problem = "--failed with --code 0 would be read as a success; give another code";
    }
    if (strlen(d->evidence) > EVIDENCE_BYTES_MAX) {
        problem = "--evidence holds at most 1,024 bytes: shorten it, or name where it stands";
    }
    if (strlen(d->operator_name) > NAME_BYTES_MAX) problem = "--operator holds at most 255 bytes";
    if (problem == NULL) return CLI_OK;
    return cli_fail(CLI_USAGE, "`resolve` decides nothing yet: %s; use: %s", problem,
                    args_usage(verb, usage));
}

static int tell(const struct cli *cli, int status, const char *key, uint64_t token)
{
    char word[SHELL_WORD_BYTES];
    if (status == HF_OK) return CLI_OK;
    if (status == HF_ENOTFOUND) {
        return cli_fail(CLI_ABSENT,
                        "no record is stored under \"%s\"; check the spelling: keys match "
                        "exactly",
                        key);
    }
    if (status == HF_EBADREQUEST) { /* all else was checked here */
        return cli_fail(CLI_MISMATCH,
                        "no attempt ever had token %" PRIu64 ", so nothing was changed; `holdfast "
                        "record %s` shows the one of \"%s\"",
                        token, text_for_shell(key, word), key);
    }
    if (status == HF_ESTALE || status == HF_EBADSTATE) {
        return cli_fail(CLI_MISMATCH,
                        "\"%s\" is not UNKNOWN under token %" PRIu64
                        ", so nothing was changed; look at it with `holdfast record %s` and "
                        "decide again",
                        key, token, text_for_shell(key, word));
    }
    return cli_fail_status(cli, status, "resolve the record");
}

static int run_resolve(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct decision d = {.code = CODE_NOT_GIVEN};
    const struct arg_option options[] = {
        {.name = "--token", .number = &d.token, .min = 1, .max = TOKEN_END - 1},
        {.name = "--done", .flag = &d.done},
        {.name = "--failed", .flag = &d.failed},
        {.name = "--retryable", .flag = &d.retryable},
        {.name = "--code", .number = &d.code, .max = UINT32_MAX},
        {.name = "--body", .text = &d.body},
        {.name = "--evidence", .text = &d.evidence},
        {.name = "--operator", .text = &d.operator_name},
    };
    struct args args;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 1, 1, false);
    if (rv == CLI_OK) rv = name_check(verb, args.words[0], 1);
    if (rv == CLI_OK) rv = check(verb, &d);
    if (rv == CLI_OK) rv = cli_open(cli, 0, 0, NULL);
    if (rv != CLI_OK) return rv;

    if (d.code == CODE_NOT_GIVEN) d.code = d.failed ? FAILED_CODE : DONE_CODE;
    const hf_result result = {
        .code = (uint32_t)d.code,
        .body = d.body,
        .body_bytes = d.body != NULL ? strlen(d.body) : 0,
    };
    int outcome = d.done ? HF_DONE : d.failed ? HF_FAILED : HF_RETRYABLE;
    hf_request request = {.id = 0};
    int status = hf_record_resolve(cli->client, args.words[0], d.token, outcome, &result,
                                   d.evidence, d.operator_name, &request);
    for (int again = 0; status == HF_EUNKNOWN && again < 3; again++) {
        status = hf_request_retry(&request);
    }
    return tell(cli, status, args.words[0], d.token);
}

const struct verb verb_resolve = {
    .name = "resolve",
    .synopsis = "KEY --token T --done|--failed|--retryable [--code N] [--body TEXT]\n"
                "             --evidence TEXT --operator NAME",
    .summary = "decide an UNKNOWN record, after having found out what happened",
    .help =
        "  --token T         of the attempt that is UNKNOWN: `holdfast record KEY` shows it\n"
        "  --done            it happened: later callers get --code (0) and --body (nothing)\n"
        "  --failed          it did not, and shall not be tried again: likewise, but --code (1)\n"
        "  --retryable       it did not: the next caller runs it\n"
        "  --evidence TEXT   how you know; kept with the record, at most 1,024 bytes\n"
        "  --operator NAME   who decides; kept with the record\n"
        "For `once` --code is the exit code and --body the standard output that later callers\n"
        "get. Exit code 65: not UNKNOWN, or another attempt's token; nothing was changed.\n"
        "66: nothing is stored under KEY.\n",
    .run = run_resolve,
};
