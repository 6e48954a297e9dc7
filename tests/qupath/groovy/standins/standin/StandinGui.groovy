package standin

/** After QuPath's QuPathGUI, which is also its only viewer here. */
class StandinGui {
    StandinImage imageData
    Object stage

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
}
