/* Arguments of a verb: a table of its options in, their values, the plain words and the command
 * behind `--` out. --servers, --json, --timeout and
 * --help may stand anywhere before the `--`. Numbers are held
 * against their ranges here, so that no verb sees one that the servers would refuse. */
#ifndef CLIENT_CLI_ARGS_H
#define CLIENT_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/cli/cli.h"

enum { ARGS_WORDS_MAX = 32 };

/** One option that a verb understands; exactly one of the three outputs is set. */
struct arg_option {
    const char *name;  /**< with its two dashes */
    const char **text; /**< Out: the value, borrowed from argv */
    uint64_t *number;  /**< Out: the value, in min..max */
    bool *flag;        /**< Out: true; the option takes no value */
    bool is_ms;        /**< the number is milliseconds: 90s, 5m, 1h, 2d are taken as well */
    uint64_t min;      /**< of a number */
    uint64_t max;      /**< of a number */
};

/** What was given besides the options. */
struct args {
    const char *words[ARGS_WORDS_MAX]; /**< plain words in order; borrowed from argv */
    int word_count;                    /**< of them */
    char **command; /**< behind `--`, NULL-terminated; NULL = there was no `--` */
    bool help;      /**< --help or -h: print it and do nothing else */
};

/** Parse argv[1..]: argv[0] is the verb. `cli` gets the options that every verb has.
 * \param options  `count` options; their outputs keep their values where an option is not given.
 * \param args     Out.
 * \return CLI_OK, or CLI_USAGE after a sentence on standard error. */
HF_MUST_USE
int args_parse(struct cli *cli, const struct verb *verb, int argc, char **argv,
               const struct arg_option *options, size_t count, struct args *args);

/** Refuse unless there are min..max words, and a command exactly if one is wanted.
 * \return CLI_OK, or CLI_USAGE after a sentence that shows the synopsis. */
HF_MUST_USE
int args_expect(const struct verb *verb, const struct args *args, int min, int max,
                bool wants_command);

/** Print a verb's help on standard output. \return CLI_OK. */
HF_MUST_USE
int args_help(const struct verb *verb);

enum { ARGS_USAGE_BYTES = 512 };

/** "holdfast VERB ITS ARGUMENTS" in one line. \param out  ARGS_USAGE_BYTES. \return `out`. */
const char *args_usage(const struct verb *verb, char *out);

#endif
