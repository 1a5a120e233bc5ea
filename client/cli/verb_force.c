/* force: end a grant whose holder does not give it back. */

#include "client/cli/act.h"
#include "client/cli/args.h"
#include "client/cli/words.h"
#include "client/include/holdfast_admin.h"

static int check(const struct verb *verb, const struct act *act, uint64_t token)
{
    char usage[ARGS_USAGE_BYTES];
    int rv = act_check(verb, act);
    if (rv != CLI_OK) return rv;
    if (token == 0)
        return cli_fail(CLI_USAGE, "`force` changes nothing yet: it lacks --token T; use: %s",
                        args_usage(verb, usage));
    return act_check_reason(verb, act);
}

static int run(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct act act = {.reason = NULL};
    uint64_t token = 0;
    bool now = false;
    const struct arg_option options[] = {
        {.name = "--token", .number = &token, .min = 1, .max = TOKEN_END - 1},
        {.name = "--now", .flag = &now},
        {.name = "--reason", .text = &act.reason},
        {.name = "--operator", .text = &act.operator_name},
    };
    struct args args;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 1, 1, false);
    if (rv == CLI_OK) rv = name_check(verb, args.words[0], 1);
    if (rv == CLI_OK) rv = check(verb, &act, token);
    if (rv == CLI_OK) rv = cli_open(cli, 0, 0, NULL);
    if (rv != CLI_OK) return rv;
    hf_request request = {.id = 0};
    int status = act_insist(
        hf_force(cli->client, args.words[0], token, now, act.reason, act.operator_name, &request),
        &request);
    if (status == HF_OK) return CLI_OK;
    return act_fail_grant(cli, status, "force the grant", args.words[0], token);
}

const struct verb verb_force = {
    .name = "force",
    .synopsis = "NAME --token T [--now] --reason TEXT --operator NAME",
    .summary = "end a grant that its holder does not give back",
    .help = "  --token T         of the grant: `holdfast locks NAME --queue` shows it\n"
            "  --now             grant on at once: its holder may still act on the lock\n"
            "  --reason TEXT     why; kept, 8 to 1,024 bytes\n"
            "  --operator NAME   who decides; kept\n"
            "The grant ends, with all its names. The lock stays closed until its holder has heard\n"
            "of it, or its session's lease is over (and for the grant's lock-delay at least).\n"
            "--now skips this: two may then believe that they hold it, and only what checks the\n"
            "token keeps them apart. Exit code 65: another token holds it, or none.\n",
    .run = run,
};
