"""Words of protocols and series that the standard's code meanings do not have: sequences, directions, phases, regions.

In small letters and ASCII, as the vocabulary. None of them is a usual name of a person or a place.
"""

from typing import Final

_TECHNIQUES = """
ct mr mri mra mrv mrcp mrs pet spect nm us xa rf cr dx mg cta ctv cbct hrct dect pcct dsa angio angiography
oct octa fa icg dxa dexa suv fdg psma dotatate ecg ekg eeg mip minip mpr vrt ssd cpr dti dwi adc fmri bold asl
swi swan qsm perfusion pwi dsc dce trace fibertrack tractography spectroscopy relaxometry elastography
"""
_SEQUENCES = """
t1 t2 t1w t2w pd pdw t2star t1map t2map flair stir tirm tir spir spair space cube vista vibe lava thrive dixon
ideal mprage mp2rage bravo fspgr spgr flash fisp truefisp fiesta bffe ffe tfe tse fse haste ssfse blade
propeller radial epi gre se ge ir bssfp cine tof pca inhance trufi dess ciss medic merge hemo fatsat fs fsat
fatsup lowres hires isotropic iso survey scout localizer localiser loc topogram surview calibration shim
smartbrain grappa sense mb smms caipi ax
"""
_DIRECTIONS = """
ax axial sag sagittal cor coronal tra trans transverse obl oblique ap pa lat lao rao cran caud lpo rpo llat
rlat ml cc mlo prone supine decub feet ffs hfs ffp hfp lt rt bilat bilateral
"""
_PHASES = """
contrast km gad gado gd gadolinium native nativ pre post plain enhanced unenhanced noncontrast nc ce cm iv po
art arterial ven venous portalvenous pv delayed late early equilibrium excretory washout phase inspiration
insp expiration exp breathhold bh fb
"""
_RECONSTRUCTION = """
recon thin thick slice slices slab kernel soft sharp smooth bone lung std stnd detail ultra fbp asir idose
safire admire lowdose ld 2d 3d 4d mono monoe average avg subtraction sub
"""
_REGIONS = """
abd abdomen pelvis thx thorax chest cxr neck head skull brain sella iac orbit orbits sinus sinuses face facial
tmj tspine cspine lspine spine cervical thoracic lumbar sacrum sacral coccyx c1 c2 c3 c4 c5 c6 c7 th1 th2 th3
th4 th5 th6 th7 th8 th9 th10 th11 th12 l1 l2 l3 l4 l5 s1 hws bws lws schulter knie kopf schaedel becken hand
handgelenk fuss sprunggelenk ellenbogen liver kidney kidneys renal hepatic pancreas biliary adrenal bowel
prostate uterus ovary breast cardiac coronary aorta aortic carotid runoff shoulder elbow wrist hip knee ankle
foot tibia fibula femur humerus radius ulna knees hips hands feet
"""
_PURPOSES = """
routine standard protocol series study scan exam follow followup fu staging screening trauma polytrauma stroke
tumor tumour metastases metastasis lesion biopsy guided interventional planning simulation dose report summary
emergency outpatient inpatient repeat rep test qa qc phantom motion corrected uncorrected nac ac ctac
attenuation wholebody wb bolus tracking premonitoring monitoring timing
"""
_BETWEEN = """
and or of in on at to the for by from with without no not nil left right upper lower both all part full half
non bei mit ohne und
"""
_OF_PEOPLE = """
age aged old born birth died year years week weeks month months days hours date number phone telephone address
identifier name
"""
_UNITS = """
mm cm m um nm ml l mg g kg kv kvp ma mas kev mev ms s sec secs min hz khz mhz t mt deg degrees mgy gy mbq bq msv mmhg
percent
"""

PROTOCOL_WORDS: Final = frozenset(
    " ".join(
        (_TECHNIQUES, _SEQUENCES, _DIRECTIONS, _PHASES, _RECONSTRUCTION, _REGIONS, _PURPOSES, _BETWEEN)
    ).split()
)
CONNECTING: Final = frozenset((_BETWEEN + _OF_PEOPLE).split())
"""Words that say nothing of what a number beside them means, or that it is somebody's."""
UNITS: Final = frozenset(_UNITS.split())
"""What a number is read with; never of time beyond minutes, which would tell ages and dates."""
