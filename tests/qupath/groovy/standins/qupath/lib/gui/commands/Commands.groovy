package qupath.lib.gui.commands

import standin.Session

/** Stand-in after QuPath's commands. */
class Commands {
    static void showDetectionMeasurementTable(gui, data) {
        Session.events << 'table of detections'
    }

    static void showAnnotationMeasurementTable(gui, data) {
        Session.events << 'table of annotations'
    }
}
