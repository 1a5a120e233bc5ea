/* holdfast-jepsen: real clusters under real faults, and what can be said of their histories. One
 * line of the table below for each sub-command; each lives in a folder of its own. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "jepsen/run/run.h"

struct subcommand {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv); /* arguments behind the name; the exit code */
};

static const struct subcommand subcommands[] = {
    {"run", "a cluster of real servers, clients and faults in network namespaces", run_main},
};

static int usage(FILE *out)
{
    fputs("usage: holdfast-jepsen COMMAND [flags]; each has a --help of its own\n", out);
    for (size_t i = 0; i < HF_ARRAY_COUNT(subcommands); i++)
        fprintf(out, "  %-8s %s\n", subcommands[i].name, subcommands[i].summary);
    return 64;
}

int main(int argc, char **argv)
{
    if (argc < 2) return usage(stderr);
    for (size_t i = 0; i < HF_ARRAY_COUNT(subcommands); i++) {
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].run(argc - 2, argv + 2);
    }
    if (strcmp(argv[1], "--help") == 0) {
        (void)usage(stdout);
        return 0;
    }
    fprintf(stderr, "holdfast-jepsen: there is no command \"%s\"\n", argv[1]);
    return usage(stderr);
}
