/*
 * Answers: what somebody who may only read has, and whether the document has all of it.
 *
 *     answer_judge(member, update);      his answer to our sync step 1
 *     ...                                member_tell_status() follows
 *
 * Providers of Hocuspocus show what of theirs is not stored, so one that holds what it was given and
 * nothing else has to hear that all is well.  The database compares; nothing is stored.
 */
#ifndef RELAY_ANSWER_H
#define RELAY_ANSWER_H

#include "member.h"

void answer_judge(Member *member, Bytes update);

#endif
