package qupath.lib.scripting

/** Stand-in after QuPath's ScriptAttributes: names of what a script finds in its binding. */
class ScriptAttributes {
    static final String ARGS = 'args'
    static final String FILE_PATH = 'qupath.script.file'
    static final String BATCH_SIZE = 'qupath.script.batchSize'
    static final String BATCH_INDEX = 'qupath.script.batchIndex'
    static final String BATCH_SAVE = 'qupath.script.batchSave'
}
