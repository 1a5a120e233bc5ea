/* lock, permit: run a command while holding a lock, several at once, or permits. A lock is not a
 * mutex: the command gets the fencing token, and what it writes to should refuse older ones
 * (docs/contract.md, section 5). What these verbs add is that the command ends before the lease. */
#include <inttypes.h>

#include "client/cli/hold.h"

static int parse_lock(struct cli *cli, const struct verb *verb, int argc, char **argv,
                      struct args *args, struct hold *h)
{
    bool shared = false;
    const struct arg_option options[] = {
        {.name = "--ttl",
         .number = &h->ttl_ms,
         .is_ms = true,
         .min = TTL_MS_MIN,
         .max = TTL_MS_MAX},
        {.name = "--wait", .number = &h->wait_ms, .is_ms = true, .max = WAIT_MS_MAX},
        {.name = "--shared", .flag = &shared},
        {.name = "--on-revoke", .text = &h->on_revoke},
    };
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), args);
    h->mode = shared ? HF_SHARED : HF_EXCLUSIVE;
    return rv != CLI_OK || args->help ? rv : hold_take_names(verb, args, NAMES_MAX, h);
}

static int parse_permit(struct cli *cli, const struct verb *verb, int argc, char **argv,
                        struct args *args, struct hold *h)
{
    const struct arg_option options[] = {
        {.name = "--ttl",
         .number = &h->ttl_ms,
         .is_ms = true,
         .min = TTL_MS_MIN,
         .max = TTL_MS_MAX},
        {.name = "--wait", .number = &h->wait_ms, .is_ms = true, .max = WAIT_MS_MAX},
        {.name = "--limit", .number = &h->limit, .min = 1, .max = PERMITS_MAX},
        {.name = "--permits", .number = &h->permits, .min = 1, .max = PERMITS_MAX},
        {.name = "--on-revoke", .text = &h->on_revoke},
    };
    h->mode = HF_PERMITS;
    h->permits = 1;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), args);
    if (rv != CLI_OK || args->help) return rv;
    rv = hold_take_names(verb, args, NAMES_MAX, h);
    if (rv != CLI_OK) return rv;
    if (h->limit == 0) {
        return cli_fail(CLI_USAGE, "`permit` was not told how many there are; say --limit N");
    }
    if (h->permits > h->limit) {
        return cli_fail(CLI_USAGE,
                        "`permit` cannot ever get %" PRIu64 " permits of %" PRIu64
                        "; ask for fewer, or raise --limit",
                        h->permits, h->limit);
    }
    return CLI_OK;
}

static int run_lock(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct hold h = {.what = "lock", .ttl_ms = 10000};
    struct args args;
    int rv = parse_lock(cli, verb, argc, argv, &args, &h);
    if (rv != CLI_OK) return rv;
    return args.help ? args_help(verb) : hold_run(cli, &args, &h);
}

static int run_permit(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct hold h = {.what = "permits of", .ttl_ms = 10000};
    struct args args;
    int rv = parse_permit(cli, verb, argc, argv, &args, &h);
    if (rv != CLI_OK) return rv;
    return args.help ? args_help(verb) : hold_run(cli, &args, &h);
}

const struct verb verb_lock = {
    .name = "lock",
    .synopsis = "NAME ... [--ttl MS] [--wait MS] [--shared] [--on-revoke WHAT] -- COMMAND ...",
    .summary = "run COMMAND while holding the lock NAME, or several at once",
    .help =
        "  NAME ...    up to 32 locks, all or nothing, under one token: in whatever order they\n"
        "              are named, callers cannot deadlock\n"
        "  --ttl MS    the lease, 500 to 3,600,000, default 10,000; it is renewed while COMMAND\n"
        "              runs, and is how long others wait if this machine dies\n"
        "  --wait MS   wait so long, in order of arrival; default 0: try once. Interrupted while\n"
        "              it waits it leaves the queue, and ends with 128 + the signal's number\n"
        "  --shared    together with other --shared holders\n"
        "  --on-revoke ignore | term   when an administrator asks the lock back (`holdfast "
        "revoke`)\n"
        "              a line says so on standard error, and COMMAND goes on (ignore, the\n"
        "              default), or the group gets TERM and the lock goes back when COMMAND has\n"
        "              ended: exit code 70. What is held when the grace is over may be taken\n"
        "              away: then the lease is lost\n"
        "COMMAND runs in a process group of its own with the fencing token in HOLDFAST_TOKEN:\n"
        "send it along with every write, and let what you write to refuse smaller ones. INT,\n"
        "TERM, HUP, QUIT, USR1 and USR2 are passed on to it. If the lease cannot be renewed the\n"
        "group gets TERM when a fifth of the lease is left (150 ms to 3 s), and KILL before the\n"
        "lease ends; a warden process sees to that even if this one is killed or stopped.\n"
        "Exit codes: COMMAND's own, 128 + N if signal N ended it; 70 the lease was lost\n"
        "or the lock asked back, and COMMAND stopped; 75 not acquired; 69 no server answered;\n"
        "127 no such command.\n",
    .run = run_lock,
};

const struct verb verb_permit = {
    .name = "permit",
    .synopsis = "NAME ... --limit N [--permits N] [--ttl MS] [--wait MS]\n"
                "             [--on-revoke WHAT] -- COMMAND ...",
    .summary = "run COMMAND while holding some of the N permits of NAME",
    .help =
        "  NAME ...     up to 32 names, of each the same permits, all or nothing\n"
        "  --limit N    how many there are, 1 to 1,000,000: the same for all who use NAME, else "
        "75\n"
        "  --permits N  how many of them COMMAND takes, 1 to the limit, default 1\n"
        "  --ttl MS, --wait MS, --on-revoke, COMMAND and the exit codes are as of\n"
        "`holdfast help lock`: at most limit / permits commands run at once. Tokens tell the\n"
        "holders apart; they fence nobody, as several are good at a time. `lock NAME` waits\n"
        "until all permits are back.\n",
    .run = run_permit,
};
