package qupath.lib.gui

import standin.Session
import standin.StandinGui

/** Stand-in after QuPath's window. */
class QuPathGUI {
    static StandinGui getInstance() {
        return Session.gui
    }
}
