package standin

import javafx.stage.Stage
import qupath.lib.objects.classes.PathClass

/** After QuPath's QuPathGUI, which is also its only viewer here. */
class StandinGui {
    StandinImage imageData
    final Stage stage = new Stage()
    /** The first is "none". */
    final List<PathClass> availablePathClasses = [null]

    StandinProject getProject() {
        return Session.project
    }

    List<StandinGui> getAllViewers() {
        return [this]
    }

    void runScript(File script, String text) {
        Session.events << "ran ${script}".toString()
        if (!script.isFile())
            throw new IllegalArgumentException('no such script')
    }

    Object installCommand(String place, Runnable command) {
        Session.events << "menu ${place}".toString()
        Session.commands[place] = command
        return null
    }

    StandinGui getViewer() {
        return this
    }

    void setDownsampleFactor(double factor) {
        assert factor > 0
    }

    void setCenterPixelLocation(double x, double y) {
        Session.events << "at ${x as int}, ${y as int}".toString()
    }
}
