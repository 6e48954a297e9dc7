/*
 * slidemitosis in QuPath 0.4 to 0.8: which class, model and Python "classify image" proposes to a person. For research
 * use only.
 *
 * They are what its dialog shows first. "Run for project" and the command line use the settings at the top of that
 * script instead.
 */

import groovy.transform.Field

// ---- Settings, as they come.

/** The Python that slidemitosis is installed in. "slidemitosis qupath install" fills it in. */
@Field String PYTHON = null
/** The class of the objects to classify. */
@Field String CANDIDATE_CLASS = 'Mitosis'
/** Name of a model, or its folder; '' is the one that "slidemitosis classify" takes by itself. */
@Field String MODEL = ''

// ---- What is done.

@Field String SCRIPT = 'settings'

reported { Map place -> askForSettings() }

// parts: dialog, window, objects, classes, calls, image, report, batch, files
