/* reopen: let a FAILED record run again. erase: drop what a record may tell of a person. Both want
 * who and why, which stay in the record; both say what to look at if the record is not as it was
 * thought to be, and then change nothing. */
#include <inttypes.h>
#include <string.h>

#include "client/cli/act.h"
#include "client/cli/args.h"
#include "client/cli/words.h"

static int check(const struct verb *verb, const struct act *act, bool wants_token, uint64_t token)
{
    char usage[ARGS_USAGE_BYTES];
    int rv = act_check(verb, act);
    if (rv != CLI_OK || !wants_token || token != 0) return rv;
    return cli_fail(CLI_USAGE, "`%s` changes nothing yet: it lacks --token T; use: %s", verb->name,
                    args_usage(verb, usage));
}

/* The words of the command line, checked; and a client. *key is NULL if there is no more to do. */
static int prepare(struct cli *cli, const struct verb *verb, int argc, char **argv, bool with_token,
                   struct act *act, uint64_t *token, const char **key)
{
    const struct arg_option options[] = {
        {.name = "--reason", .text = &act->reason},
        {.name = "--operator", .text = &act->operator_name},
        {.name = "--token", .number = token, .min = 1, .max = TOKEN_END - 1},
    };
    size_t count = with_token ? HF_ARRAY_COUNT(options) : HF_ARRAY_COUNT(options) - 1;
    struct args args;
    *key = NULL;
    int rv = args_parse(cli, verb, argc, argv, options, count, &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 1, 1, false);
    if (rv == CLI_OK) rv = name_check(verb, args.words[0], 1);
    if (rv == CLI_OK) rv = check(verb, act, with_token, *token);
    if (rv == CLI_OK) rv = cli_open(cli, 0, 0, NULL);
    if (rv == CLI_OK) *key = args.words[0];
    return rv;
}

static int tell_absent(const char *key)
{
    return cli_fail(CLI_ABSENT,
                    "no record is stored under \"%s\"; check the spelling: keys match exactly",
                    key);
}

/* ------------------------------------------------------------------ reopen */

static int run_reopen(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct act act = {.reason = NULL};
    uint64_t token = 0;
    const char *key;
    char word[SHELL_WORD_BYTES];
    int rv = prepare(cli, verb, argc, argv, true, &act, &token, &key);
    if (key == NULL) return rv;
    hf_request request = {.id = 0};
    int status = act_insist(hf_record_reopen(cli->client, key, token, HF_FAILED, act.reason,
                                             act.operator_name, &request),
                            &request);
    if (status == HF_OK) return CLI_OK;
    if (status == HF_ENOTFOUND) return tell_absent(key);
    if (status == HF_EBADREQUEST) { /* all else was checked here */
        return cli_fail(CLI_MISMATCH,
                        "no attempt ever had token %" PRIu64 ", so nothing was changed; `holdfast "
                        "record %s` shows the one of \"%s\"",
                        token, text_for_shell(key, word), key);
    }
    if (status != HF_ESTALE && status != HF_EBADSTATE) {
        return cli_fail_status(cli, status, "reopen the record");
    }
    return cli_fail(CLI_MISMATCH,
                    "\"%s\" is not FAILED under token %" PRIu64 ", so nothing was changed; look at "
                    "it with `holdfast record %s` and decide again (what is DONE is never run "
                    "again)",
                    key, token, text_for_shell(key, word));
}

const struct verb verb_reopen = {
    .name = "reopen",
    .synopsis = "KEY --token T --reason TEXT --operator NAME",
    .summary = "let a FAILED record run again",
    .help = "  --token T         of the attempt that FAILED: `holdfast record KEY` shows it\n"
            "  --reason TEXT     why; kept with the record, at most 1,024 bytes\n"
            "  --operator NAME   who decides; kept with the record\n"
            "KEY becomes RETRYABLE: the next caller runs it, as the next attempt under the same\n"
            "fingerprint. A TOMBSTONE is reopened as well if it FAILED; what was DONE never is.\n"
            "Exit code 65: not FAILED, or another attempt's token; nothing was changed.\n"
            "66: nothing is stored under KEY.\n",
    .run = run_reopen,
};

/* ------------------------------------------------------------------ erase */

static int run_erase(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct act act = {.reason = NULL};
    uint64_t token = 0;
    const char *key;
    char word[SHELL_WORD_BYTES];
    int rv = prepare(cli, verb, argc, argv, false, &act, &token, &key);
    if (key == NULL) return rv;
    hf_request request = {.id = 0};
    int status = act_insist(
        hf_record_erase(cli->client, key, act.reason, act.operator_name, &request), &request);
    if (status == HF_OK) return CLI_OK;
    if (status == HF_ENOTFOUND) return tell_absent(key);
    if (status != HF_EBADSTATE) return cli_fail_status(cli, status, "erase the record");
    return cli_fail(CLI_MISMATCH,
                    "\"%s\" has not ended, and whoever goes on with it needs its data, so nothing "
                    "was erased; look at it with `holdfast record %s`, end it (an UNKNOWN one with "
                    "`holdfast resolve`), then erase it",
                    key, text_for_shell(key, word));
}

const struct verb verb_erase = {
    .name = "erase",
    .synopsis = "KEY --reason TEXT --operator NAME",
    .summary = "drop what a record that has ended may tell of a person",
    .help = "  --reason TEXT     why; kept with the record, at most 1,024 bytes\n"
            "  --operator NAME   who decides; kept with the record\n"
            "Headers, body, meta, the checkpoint's name and the evidence go. Key, fingerprint,\n"
            "outcome, code, tokens, times, hashes and the names of the machines stay: KEY is not\n"
            "run again, and later callers learn that it was done and that its result has gone\n"
            "(`once`: exit code 66). Only DONE and FAILED ones can be erased. What the log and\n"
            "older snapshots hold goes with them; backups and histories are their owners' to\n"
            "erase. Exit code 65: it has not ended; 66: nothing is stored under KEY.\n",
    .run = run_erase,
};
