/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that add Information Elements, in the form of xml/ipfix-elements.xml
 * (schema: xml/ipfix-elements.rng). The caller reads the file.
 */
#ifndef CONFLUX_ELEMENT_FILE_H
#define CONFLUX_ELEMENT_FILE_H

#include <stddef.h>

#include "conflux/ie.h"
#include "conflux/text.h"

/*
 * Adds the elements of the document to the registry: all of them, or none if
 * anything is wrong with one. Each thing that is wrong is added to errors as
 * one line "NAME:LINE: element: what, what was expected, nearest right name".
 * name is that of the file, for these lines. Elements that are known already
 * are no error if they have the type and name that the document gives them.
 * -EINVAL: see errors. -ENOSPC: the registry got full (also in errors) and
 * -ENOMEM; it has some of the elements then.
 */
int element_file_parse(struct ie_registry *registry, const char *data,
		       size_t length, const char *name, struct text *errors);

#endif
