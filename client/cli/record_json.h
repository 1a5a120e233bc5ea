/* Records as JSON, for the verbs that show one, list them and export them. */
#ifndef CLIENT_CLI_RECORD_JSON_H
#define CLIENT_CLI_RECORD_JSON_H

#include "client/cli/output.h"
#include "protocol/messages.h"

/** The members that a list's line and a whole record have in common, into an open object. */
void record_line_json(struct json *j, const struct record_line *r);

/** A whole record begins with the fields of a list's line (protocol/messages.h): those. */
struct record_line record_line_of(const struct msg_record_reply *r);

/** Print a whole record as one object on one line of standard output.
 * \param derived  the key derived for it, as "derived_key"; NULL = no such member. */
void record_json(const struct msg_record_reply *r, const char *derived);

#endif
