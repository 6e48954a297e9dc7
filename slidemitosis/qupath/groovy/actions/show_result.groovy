/*
 * slidemitosis in QuPath 0.4 to 0.8: show again what the last run on the image that is open has found. For research use
 * only.
 *
 * Those are the results that came into the image by classify_image.groovy or import_results.groovy, not those on a
 * selection.
 */

import groovy.transform.Field

import static qupath.lib.gui.scripting.QPEx.*

@Field String SCRIPT = 'show_result'

reported { Map place -> showAgain(place) }

String showAgain(Map place) {
    def image = checkedImage(place)
    if (!place.alone)
        refuse('a result is shown in a window; run this on the image that is open')
    def folder = resultFolder(place, image.slide)
    def summary = earlierSummary(place, folder)
    if (summary == null)
        refuse('slidemitosis has not run on this image; choose Classify mitoses or Import results first')
    refuseOtherImage(summary, image, true)
    settleRun(place)
    showResult(place, folder, resultLines(summary, ''))
    return null
}

// parts: window, outcome, shown, classes, calls, summary, results, saved, image, report, batch, files
