"""The words by which columns that identify people are named, in several languages, without accents."""

from __future__ import annotations

import re

_PEOPLE = (
    "patient|patienten|pat|pt|subject|subj|person|personen|participant|proband|probanden|respondent|member|client|customer"
    "|kunden?|user|employee|staff|student|pupil|player|donor|beneficiary|insured|versicherten?|doctor|dr|physician|nurse"
    "|surgeon|practitioner|contact|guardian|parent|mother|father|spouse|child|nextofkin|author|owner|cardholder|applicant"
    "|borrower|passenger|resident|witness|paciente|paziente|emergencycontact|attending|attendingphysician|referringdoctor"
)
_STATED = (
    "arzt|arztin|(haus|ober|chef|fach)arzt|(behandelnder|zuweisender|uberweisender)arzt|versicherter|ansprechpartner"
    "|kontaktperson|angehoriger|mitarbeiter|titular|medecin(traitant)?|medico|medic[ao]s?|contactperson|huisarts|lekarz"
    "|consultant|gp|reviewer|operator|signedby|enteredby|reportedby|assignedto|createdby|signature|holder|пациент|врач"
)
NAMES = re.compile(
    rf"({_PEOPLE})s?(full|first|last|sur|given|family|middle|maiden|birth|vor|nach)?names?"
    rf"|({_PEOPLE})s?(first|last|surname|forename|vorname|nachname)"
    r"|(full|first|last|sur|given|family|middle|maiden|fore|nick|birth|legal|preferred)names?(of(the)?(patient|person|subject))?"
    r"|names?(first|last|middle|given|family)|[flm]name|surname|vornamen?|rufname|nachname|familienname|zuname"
    r"|(vor(name)?und|vorname)nachname|(nach(name)?und|nachname)vorname|geburtsname|madchenname|patientenname|kundenname"
    r"|prenoms?|nomdefamille|nom(du)?patient|nom(et)?prenoms?|prenoms?(et)?nom|nomdenaissance|nomdejeunefille|nomusuel"
    r"|nomcomplet|(primer|segundo)?apellidos?|(primer|segundo)nombre|nombres?y?apellidos?|apellidosy?nombres?"
    r"|nombre(del?)?paciente|nombrecompleto|cognome|nomee?cognome|cognomee?nome|nome(del?)?(paciente|paziente)"
    r"|nomecompleto|sobrenome|ultimonome|primeironome|voornaam|achternaam|roepnaam|fornavn|etternavn|efternavn|fornamn"
    r"|efternamn|etunimi|sukunimi|nazwisko|imiei?nazwisko|prijmeni|vezeteknev|keresztnev|soyadi?|adsoyad|prenume|prezime"
    r"|фамилия|отчество|фио|имяфамилия|фамилияимя(отчество)?|прізвище|επωνυμο|επιθετο"
    r"|氏名|姓名|名前|お名前|患者(氏名|姓名|名)|病人姓名|苗字|名字|姓|이름|성명|성함|환자명"
)
"""Columns of names of people."""

VAGUE_NAMES = re.compile(
    r"(\w*(name|nom|nombre|nome)s?)|(naam|navn|namn|imie|jmeno|nev|nimi|isim|adi?|nume|ime|имя|ім?я|ονομα|名|氏)"
    rf"|first|last|given|family|{_PEOPLE}|{_STATED}"
)
"""Columns of names, of people if their values are names of people."""

USERS = re.compile(
    r"(user|screen|login|account|benutzer|gebruikers)(name|naam|id)|usuario|utilisateur|nutzername|login|handle|nickname"
)
VAGUE_USERS = re.compile(r"user|users|account|twitter|instagram|github|skype|benutzer|konto|nick")
"""Columns of names of users, if their values are made of letters with digits or marks."""

_DIALS = (
    r"(tele?phone|phone|telefono?|telefone|telefoon|mobilephone|cellphone|handy|rufnummer|festnetz|celular|cellulare|movil"
    r"|portable|gsm|телефон|電話|携帯|电话|手机|전화)"
)
PHONES = re.compile(
    r"(home|work|office|patient|contact|emergency|customer|client|day|evening|primary|secondary|alt|guardian|private?"
    r"|numero(de)?|no|num)*"
    rf"({_DIALS}|tel|mobile?|cell|fax)(number|nummer|num|nr|no|番号|号码|번호)?"
    rf"|\w+{_DIALS}(number|nummer|num|nr|no)?|contact(number|no|nr)"
)
ADDRESSES = re.compile(
    r"(home|street|postal|mailing|patient|customer|client|billing|shipping|work|residential|residence|full|contact|wohnort)*"
    r"(address(line)?|addr|streetaddress|streetname|street|strasse|wohnstrasse|anschrift|adresse|direccion|domicilio"
    r"|indirizzo|endereco|adres|calle|rue|logradouro|osoite|adresa|адрес|улица|住所|地址|주소)"
)
PLATES = re.compile(
    r"(car|vehicle)?(licen[cs]e|number|registration)plates?(number|no|nr)?|(vehicle|car)(registration|reg)(number|no|nr)?"
    r"|(kfz|auto|amtliches)?kennzeichen|(numero)?(plaque|immatriculation)(dimmatriculation)?|matricula|targa|kenteken"
    r"|nummerplaat|nummerplade|rejestracja|車両番号|车牌(号)?"
)

_KEY = "id|ids|identifier|uid|guid|uuid|key|ref"
_NUMBER = "nr|no|nbr|num|number|nummer"
SUBJECT_KEYS = re.compile(
    rf"(u|unique|my)?({_PEOPLE}|sub|ind|individual|household|pers)s?({_KEY}|{_NUMBER}|code)"
    r"|id(del?|du)?(patient|paciente|paziente|person|persona|subject|cliente?|kunde)|id|idnumber|idnr|idno|pid|ptid|ptno|rid"
    r"|seqn|(hadm|icustay|admission|encounter|stay|fall|case)(id|key|nr|no|num|number)|fallnummer|aufnahmenummer"
    r"|(numero|n)(du|del?)?(patient|paciente|dossier|sejour|historia)"
    rf"|(study|studien|screening|rand(om|omi[sz]ation)?|enrol+ment|trial)({_KEY}|{_NUMBER})"
    r"|患者(番号|id)|病历号|住院号"
)
"""Columns of keys of people, or of their stays."""

BARE_KEYS = re.compile(
    r"patient|patienten|person|subject|subj|participant|proband|respondent|encounter|customer|client|member|user|household"
)
"""Columns of keys of people, if their values are codes."""

ROW_KEYS = re.compile(
    rf"(visit|episode|record|row|chart|file|order|transaction|account|specimen|sample|accession|claim|policy|ticket"
    rf"|invoice|event|note|document|message|appointment|booking|loan|application)s?({_KEY})|uuid|guid|uid|rowid"
    rf"|accession({_NUMBER})|\w*serial({_NUMBER})?|\w*seriennummer"
)
"""Columns of keys of records."""

_NO_KEYS = (  # words that end like those of keys
    "(un|pre|re)?paid|acid|aid|android|arachnoid|asteroid|avoid|bid|carotid|centroid|covid|deltoid|fibroid|fluid|grid|humid|hybrid"
    "|(in)?valid|lipid|liquid|mid|opioid|orchid|ovoid|plaid|pyramid|raid|rapid|rheumatoid|said|sarcoid|solid|steroid|stupid|thyroid"
    "|typhoid|void|donkey|hockey|jockey|monkey|turkey|whiskey|bids|acids|fluids|lipids|opioids|solids|steroids"
)
ANY_KEYS = re.compile(rf"(?!.*({_NO_KEYS})$)\w+({_KEY.replace('|ref', '')}|idnumber|idnr|idno)")
"""Columns of keys, if nearly all values are different."""

UNIQUE_KEYS = re.compile("key|index")
"""Columns of keys, if all values are different: these words have other meanings, too."""

RECORDS = re.compile(
    rf"mrn|(patient)?(medical)?record({_NUMBER})|medrec(no|num)|hospital(number|no)|nhs({_NUMBER})?|chi({_NUMBER})"
    rf"|ssn|ss({_NUMBER})|social(security|insurance)({_NUMBER})?|numss|nirpp|historiaclinica"
    rf"|(numero|n)?(de)?(historiaclinica|(la)?(securitesociale|secusociale|secu|seguridadsocial)|secu)"
    rf"|(health|medical|social)?insur(ance|ed)(policy)?({_NUMBER}|id)|policy({_NUMBER})"
    rf"|(health|medicare|medicaid)(card)({_NUMBER})?|(medicare|medicaid|member)({_NUMBER}|id)|hicn|npi({_NUMBER})"
    r"|(kranken|renten|sozial)?versicher(ung|ungs|ten)(nummer|nr)|krankenkassen?(nummer|nr)|krankenversichertennummer|kvnr"
    r"|svnr|rvnr|ahv(nummer|nr)?|steuer(id|nummer|nr)|patienten(nummer|nr)"
    rf"|passports?({_NUMBER})?|reisepass(nummer|nr)?|pass(nummer|nr)|(personal)?ausweis(nummer|nr)?"
    rf"|(numero(de)?)?(passeport|pasaporte|passaporto)|driv(er|ers|ing)licen[cs]e({_NUMBER})?|licen[cs]e({_NUMBER})"
    rf"|fuhrerschein(nummer|nr)?|permisdeconduire|national(id|identity|insurance)({_NUMBER})?|nino|tax(payer)?(id|{_NUMBER})"
    rf"|identity(card)?({_NUMBER})|idcard({_NUMBER})?|iban|(bank)?account({_NUMBER})|kontonummer|kontonr"
    rf"|(credit|debit|bank)card({_NUMBER})?|card({_NUMBER})|ccn|cc({_NUMBER})|kreditkarten?(nummer|nr)?|cpr(nr|number)?"
    r"|personnummer|fodselsnummer|henkilotunnus|hetu|burgerservicenummer|codicefiscale|codfiscale|curp"
    r"|pesel|rodnecislo|aadhaar|aadhar|pan(number|no)|hkid|nric"
    rf"|imei|chassis({_NUMBER})?|fahrgestellnummer|chart({_NUMBER})|krankenakte(nnummer)?"
    r"|снилс|инн|паспорт|номерполиса|полис|保険証番号|身份证(号码?)?|カルテ番号|주민등록번호"
)
"""Columns of numbers of records, insurances, identity cards and accounts."""

SHORT_RECORDS = re.compile(
    rf"ss|nss|nir|ipp|nip|nhc|npi|bsn|dni|nie|nif|rfc|cpf|cnp|oib|jmbg|tckn|vin|cc|ahv|avs|chi|medicare|medicaid|account"
    rf"|konto|cuenta|conto|case({_NUMBER})|ssnr|numeross"
)
"""Such columns, if their values are long numbers: these words have other meanings."""

CODES = re.compile(
    rf"({_KEY}|{_NUMBER}|sku|icd|ean|gtin|upc|lot|batch|charge|serial|isbn|reference|account|konto|plz|postleitzahl|cap|cp|cups)s?"
    r"|\w*(code|codigo|kode|zip|number|nummer|barcode)s?"
)
"""Columns of codes, whose digits are no dates."""

DATES = re.compile("dat[eu]|day|dob|dod|birth|geb(urt|oren)?|fecha|naiss|nasc|nacim|month|year|period|time|zeit")
"""Words in the names of columns of dates."""
