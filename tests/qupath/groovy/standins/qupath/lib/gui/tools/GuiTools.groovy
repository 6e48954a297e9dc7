package qupath.lib.gui.tools

import standin.Session

/** Stand-in after QuPath's GuiTools. */
class GuiTools {
    static boolean browseURI(URI uri) {
        Session.events << "browse ${new File(uri).getName()}".toString()
        return true
    }

    static boolean browseDirectory(File folder) {
        Session.events << "browse ${folder}".toString()
        return true
    }
}
