/* The commands of holdfast-jepsen: each is one file with one function. */
#ifndef JEPSEN_COMMAND_H
#define JEPSEN_COMMAND_H

#include "base/assert.h"

enum { EXIT_USAGE = 64, EXIT_NO_INPUT = 66 };

/** Exit codes of `check`. */
enum {
    CHECK_FITS = 0,      /**< some order of events explains every answer */
    CHECK_FITS_NOT = 1,  /**< none does */
    CHECK_BAD_FORM = 2,  /**< the file breaks the format */
    CHECK_UNDECIDED = 3, /**< not found out within the limits */
};

/** Judge a history.
 * \param argc  words in argv. \param argv  what follows the command's name; argv[argc] = NULL.
 * \return the exit code: one of the above. */
HF_MUST_USE
int command_check(int argc, char **argv);

#endif
