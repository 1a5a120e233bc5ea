/* revoke: ask for a grant back, before it is taken away or somebody is told. */
#include <string.h>

#include "client/cli/act.h"
#include "client/cli/args.h"
#include "client/cli/words.h"
#include "client/include/holdfast_admin.h"

struct wish {
    struct act act;        /* --reason, --operator */
    const char *then_what; /* --then */
    uint64_t token;        /* --token */
    uint64_t grace_ms;     /* --grace */
};

static int check(const struct verb *verb, const struct wish *w)
{
    char usage[ARGS_USAGE_BYTES];
    int rv = act_check(verb, &w->act);
    if (rv != CLI_OK) return rv;
    if (w->token == 0 || w->grace_ms == 0)
        return cli_fail(CLI_USAGE, "`revoke` changes nothing yet: it lacks --%s; use: %s",
                        w->token == 0 ? "token T" : "grace MS", args_usage(verb, usage));
    if (strcmp(w->then_what, "force") != 0 && strcmp(w->then_what, "alarm") != 0)
        return cli_fail(CLI_USAGE, "`revoke` does not know --then \"%s\"; say force or alarm",
                        w->then_what);
    return act_check_reason(verb, &w->act);
}

static int run(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct wish w = {.then_what = "force"};
    const struct arg_option options[] = {
        {.name = "--token", .number = &w.token, .min = 1, .max = TOKEN_END - 1},
        {.name = "--grace", .number = &w.grace_ms, .is_ms = true, .min = 1, .max = GRACE_MS_MAX},
        {.name = "--then", .text = &w.then_what},
        {.name = "--reason", .text = &w.act.reason},
        {.name = "--operator", .text = &w.act.operator_name},
    };
    struct args args;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 1, 1, false);
    if (rv == CLI_OK) rv = name_check(verb, args.words[0], 1);
    if (rv == CLI_OK) rv = check(verb, &w);
    if (rv == CLI_OK) rv = cli_open(cli, 0, 0, NULL);
    if (rv != CLI_OK) return rv;
    int then = strcmp(w.then_what, "force") == 0 ? HF_THEN_FORCE : HF_THEN_ALARM;
    hf_request request = {.id = 0};
    int status = act_insist(hf_revoke(cli->client, args.words[0], w.token, w.grace_ms, then,
                                      w.act.reason, w.act.operator_name, &request),
                            &request);
    if (status == HF_OK) return CLI_OK;
    return act_fail_grant(cli, status, "ask for the grant", args.words[0], w.token);
}

const struct verb verb_revoke = {
    .name = "revoke",
    .synopsis = "NAME --token T --grace MS [--then force|alarm] --reason TEXT --operator NAME",
    .summary = "ask for a grant back, and force it when its grace is over",
    .help = "  --token T         of the grant: `holdfast locks NAME --queue` shows it\n"
            "  --grace MS        for its holder to give it back, 1 to 86,400,000; it hears of it\n"
            "                    within a third of its lease, so let the grace be longer\n"
            "  --then WHAT       when the grace is over: force (the default), as `holdfast force`\n"
            "                    without --now; or alarm: the grant stays, is shown as overdue by\n"
            "                    `locks NAME --queue` and `audit`, and a server logs a warning\n"
            "  --reason TEXT     why; kept, 8 to 1,024 bytes\n"
            "  --operator NAME   who decides; kept\n"
            "Answers at once; what became of it is in the audit. Said again of the same grant it\n"
            "replaces what was said before, sooner or later. What a holder does about it is its\n"
            "own: `holdfast lock --on-revoke term` ends its command. Exit code 65: another token\n"
            "holds it, or none.\n",
    .run = run,
};
